/**
 * `@std/assert` over `node:assert/strict`: the same names and argument order, for machines that do not reach JSR (ADR 0001).
 * A site with JSR swaps one line of `deno.json`. What is here is what the tests use; a missing name is added in this file.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";

/** What a failed assertion throws. */
export const AssertionError: typeof nodeAssert.AssertionError = nodeAssert.AssertionError;

// deno-lint-ignore no-explicit-any -- any class may be asked for, whatever its constructor takes
type ErrorClass<E extends Error> = abstract new (...parameters: any[]) => E;

/** Fails at once. */
export function fail(message = "Failed assertion"): never {
  throw new AssertionError({ message, stackStartFn: fail });
}

/** Fails because this line must not be reached. */
export function unreachable(reason = "Unreachable"): never {
  throw new AssertionError({ message: reason, stackStartFn: unreachable });
}

/** Fails unless `condition` is truthy. */
export function assert(condition: unknown, message = "Expected a truthy value"): asserts condition {
  if (!condition) throw new AssertionError({ message, actual: condition, stackStartFn: assert });
}

/** Fails unless `condition` is falsy. */
export function assertFalse(condition: unknown, message = "Expected a falsy value"): asserts condition is false {
  if (condition) throw new AssertionError({ message, actual: condition, stackStartFn: assertFalse });
}

/** Fails unless both are deeply equal, prototypes included. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  explained(() => nodeAssert.deepStrictEqual(actual, expected), message);
}

/** Fails if both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  explained(() => nodeAssert.notDeepStrictEqual(actual, expected), message);
}

/** Fails unless both are the same value (`Object.is`). */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  explained(() => nodeAssert.strictEqual(actual, expected), message);
}

/** Fails if both are the same value (`Object.is`). */
export function assertNotStrictEquals<T>(actual: T, expected: T, message?: string): void {
  explained(() => nodeAssert.notStrictEqual(actual, expected), message);
}

/** Fails for null and undefined. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) fail(joined(`Expected a value, it is ${actual}`, message));
}

/** Fails unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<E>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any -- any class may be asked for, whatever its constructor takes
  expectedType: abstract new (...parameters: any[]) => E,
  message?: string,
): asserts actual is E {
  if (!(actual instanceof expectedType)) {
    fail(joined(`Expected an instance of ${expectedType.name}, it is ${shown(actual)}`, message));
  }
}

/** Fails unless `expected` matches somewhere in `actual`. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  if (!expected.test(actual)) fail(joined(`Expected ${shown(actual)} to match ${expected}`, message));
}

/** Fails if `expected` matches somewhere in `actual`. */
export function assertNotMatch(actual: string, expected: RegExp, message?: string): void {
  if (expected.test(actual)) fail(joined(`Expected ${shown(actual)} not to match ${expected}`, message));
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (!actual.includes(expected)) fail(joined(`Expected ${shown(actual)} to contain ${shown(expected)}`, message));
}

/** Fails unless every element of `expected` deeply equals one of `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, message?: string): void {
  const missing = Array.from(expected).filter((wanted) => !Array.from(actual).some((value) => equal(value, wanted)));
  if (missing.length > 0) fail(joined(`Expected ${shown(actual)} to include ${shown(missing)}`, message));
}

/** Fails unless what `expected` names is deeply equal in `actual`; further properties do not matter. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- an interface without an index signature must be accepted
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  message?: string,
): void {
  assertEquals<unknown>(narrowedTo(actual, expected), expected, message);
}

/** Fails unless both differ by at most `tolerance` (by default a ten-millionth of `expected`). */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, message?: string): void {
  const allowed = tolerance ?? Math.max(Math.abs(expected) * 1e-7, 1e-7);
  if (Object.is(actual, expected)) return;
  if (!(Math.abs(actual - expected) <= allowed)) {
    fail(joined(`Expected ${actual} to be ${expected} within ${allowed}`, message));
  }
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  if (!(actual > expected)) fail(joined(`Expected ${shown(actual)} > ${shown(expected)}`, message));
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual >= expected)) fail(joined(`Expected ${shown(actual)} >= ${shown(expected)}`, message));
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, message?: string): void {
  if (!(actual < expected)) fail(joined(`Expected ${shown(actual)} < ${shown(expected)}`, message));
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  if (!(actual <= expected)) fail(joined(`Expected ${shown(actual)} <= ${shown(expected)}`, message));
}

/** Fails unless `error` is an instance of `errorClass` (by default `Error`) whose message contains `messageIncludes`. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  messageIncludes?: string | RegExp,
  message?: string,
): asserts error is E {
  if (!(error instanceof Error)) fail(joined(`Expected an Error, it is ${shown(error)}`, message));
  if (errorClass && !(error instanceof errorClass)) {
    fail(joined(`Expected ${errorClass.name}, it is ${error.name}: ${error.message}`, message));
  }
  const fits = messageIncludes === undefined ||
    (typeof messageIncludes === "string"
      ? error.message.includes(messageIncludes)
      : messageIncludes.test(error.message));
  if (!fits) fail(joined(`Expected the message ${shown(error.message)} to contain ${shown(messageIncludes)}`, message));
}

/** Fails unless `run` throws; gives what it threw. With a class, also checks the class and a part of the message. */
export function assertThrows(run: () => unknown, message?: string): unknown;
export function assertThrows<E extends Error = Error>(
  run: () => unknown,
  errorClass: ErrorClass<E>,
  messageIncludes?: string,
  message?: string,
): E;
export function assertThrows(
  run: () => unknown,
  classOrMessage?: ErrorClass<Error> | string,
  messageIncludes?: string,
  message?: string,
): unknown {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
    return checkedThrown(thrown, { classOrMessage, messageIncludes, message });
  }
  return fail(joined("Expected the function to throw", typeof classOrMessage === "string" ? classOrMessage : message));
}

/** Fails unless the promise of `run` rejects; gives the reason. With a class, also checks the class and the message. */
export function assertRejects(run: () => PromiseLike<unknown>, message?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  run: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  messageIncludes?: string,
  message?: string,
): Promise<E>;
export async function assertRejects(
  run: () => PromiseLike<unknown>,
  classOrMessage?: ErrorClass<Error> | string,
  messageIncludes?: string,
  message?: string,
): Promise<unknown> {
  const note = typeof classOrMessage === "string" ? classOrMessage : message;
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = run();
    await promise;
  } catch (error) {
    if (promise === undefined) fail(joined(`Expected a rejected promise, the function threw ${shown(error)}`, note));
    return checkedThrown(error, { classOrMessage, messageIncludes, message });
  }
  return fail(joined("Expected the promise to be rejected", note));
}

/** True if both are deeply equal, prototypes included. */
export function equal(left: unknown, right: unknown): boolean {
  try {
    nodeAssert.deepStrictEqual(left, right);
    return true;
  } catch (error) {
    if (error instanceof AssertionError) return false;
    throw error;
  }
}

interface Expectation {
  readonly classOrMessage: ErrorClass<Error> | string | undefined;
  readonly messageIncludes: string | undefined;
  readonly message: string | undefined;
}

function checkedThrown(thrown: unknown, expectation: Expectation): unknown {
  if (typeof expectation.classOrMessage !== "function") return thrown;
  assertIsError(thrown, expectation.classOrMessage, expectation.messageIncludes, expectation.message);
  return thrown;
}

/** Puts the caller's message before the difference, which `node:assert` would drop. */
function explained(check: () => void, message: string | undefined): void {
  try {
    check();
  } catch (error) {
    if (message !== undefined && error instanceof AssertionError) error.message = `${message}\n${error.message}`;
    throw error;
  }
}

function joined(text: string, message: string | undefined): string {
  return message === undefined ? text : `${text}: ${message}`;
}

function narrowedTo(actual: unknown, expected: unknown): unknown {
  if (!isPlain(expected) || typeof actual !== "object" || actual === null) return actual;
  const fields = Reflect.ownKeys(expected).filter((key) => key in actual);
  return Object.fromEntries(fields.map((key) => [key, narrowedTo(Reflect.get(actual, key), expected[key])]));
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value, { depth: 3 });
}
