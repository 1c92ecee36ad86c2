/**
 * What a process said of itself when MGMT asked its management listener.
 *
 * @module
 */
import type { ComponentAnswer } from "@/mgmt/core/monitoring.ts";
import { ClockTime } from "@/mgmt/views/parts.tsx";

/** The newest answer, or that there is none. */
export function AnswerText({ answer }: { readonly answer: ComponentAnswer | undefined }) {
  if (!answer) return <>not asked yet</>;
  const { status, detail, answerMs, atMs } = answer;
  return (
    <>
      {status.toLowerCase()}
      {detail !== "" && `: ${detail}`}{" "}
      <span class="quiet">
        <ClockTime atMs={atMs} />
        {answerMs !== undefined && `, in ${Math.max(1, Math.round(answerMs))} ms`}
      </span>
    </>
  );
}
