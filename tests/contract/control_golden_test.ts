/**
 * The JSON of control messages on the data path, pinned: one sample of each kind as it travels. A change here is a change of the data
 * path and needs an entry in `shared/wire/version.ts`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { z } from "zod";
import {
  challengeSchema,
  helloSchema,
  linkAnswerSchema,
  linkRequestSchema,
  proofSchema,
  refusedSchema,
  sessionAnswerSchema,
  sessionRequestSchema,
  welcomeSchema,
} from "@/shared/wire/control.ts";

const INCARNATION = '{"counter":3,"random":"0123456789abcdef"}';
const MEMBER = `{"deviceId":1,"sdsId":2,"incarnation":${INCARNATION},"bootId":"boot"}`;
const HASH = "5a".repeat(32);
const NONCE = "6b".repeat(16);
const CONFIG = `{"pgId":7,"poolId":1,"pgIndex":6,"pgCount":64,"epoch":9,"mdmTerm":2,"members":[${MEMBER}],` +
  `"lossGeneration":1,"fresh":false,"syncWrites":true,"signature":"${HASH}"}`;
const LINK = `{"fromSdsId":2,"fromDeviceId":1,"fromIncarnation":${INCARNATION},"toDeviceId":4}`;
const CHUNK = '{"vtreeId":3,"nodeId":5,"chunkIndex":8}';
const REPAIR = `"requestId":11,"pgId":7,"epoch":9,"chunk":${CHUNK}`;
const JOIN = '"requestId":11,"pgId":7,"epoch":9,"joinSession":12';
const BITMAP = `01${"00".repeat(127)}`;
const BLOCK = "c3".repeat(4096);
const GROUP = '{"pgId":7,"epoch":9}';
const REFUSED = '{"kind":"refused","requestId":11,"code":"stale_epoch","message":"Cannot"}';

const OPENING = {
  hello: [
    helloSchema,
    `{"kind":"hello","version":3,"compact":true,"clientNonceHex":"${NONCE}","role":"sdc","client":{"sdcId":1,"sdcSession":2,"lane":3}}`,
    `{"kind":"hello","version":3,"compact":true,"clientNonceHex":"${NONCE}","role":"link","client":${LINK}}`,
    `{"kind":"hello","version":3,"compact":true,"clientNonceHex":"${NONCE}","role":"pulse","client":${LINK}}`,
  ],
  challenge: [
    challengeSchema,
    `{"kind":"challenge","version":3,"serverSdsId":2,"serverNonceHex":"${NONCE}","proofHex":"${HASH}"}`,
  ],
  proof: [proofSchema, `{"kind":"proof","proofHex":"${HASH}"}`],
  welcome: [welcomeSchema, '{"kind":"welcome","compact":true,"queueDepth":64,"fragmentBytesMax":65536}'],
  refused: [refusedSchema, REFUSED],
} as const;

const SESSION_REQUESTS = [
  '{"kind":"open_volume","requestId":11,"token":"t"}',
  '{"kind":"renew_token","requestId":11,"handle":0,"token":"t"}',
  '{"kind":"close_volume","requestId":11,"handle":0}',
  '{"kind":"get_configs","requestId":11,"pgIds":[7,8]}',
  '{"kind":"extents","requestId":11,"handle":0,"pgId":7,"epoch":9,"nodeId":5,"chunkIndex":8}',
];

const SESSION_ANSWERS = [
  '{"kind":"volume_opened","requestId":11,"handle":0}',
  '{"kind":"done","requestId":11}',
  `{"kind":"configs","requestId":11,"configs":[${CONFIG}]}`,
  `{"kind":"extents_answer","requestId":11,"writtenHex":"${HASH}"}`,
  REFUSED,
];

const LINK_REQUESTS = [
  `{"kind":"link_hello","requestId":11,"linkSession":13,"toIncarnation":${INCARNATION}}`,
  `{"kind":"open_pgs","requestId":11,"configs":[${CONFIG}]}`,
  `{"kind":"close_pgs","requestId":11,"pgs":[${GROUP}]}`,
  `{"kind":"release_pgs","requestId":11,"pgs":[${GROUP}]}`,
  `{"kind":"sync","requestId":11,"pgs":[${GROUP}]}`,
  '{"kind":"clear_intents","requestId":11,"pgId":7,"epoch":9,"regions":[[1023,14]]}',
  `{"kind":"verify_blocks",${REPAIR},"first":0,"end":256}`,
  `{"kind":"fetch_block",${REPAIR},"block":255}`,
  `{"kind":"mend_block",${REPAIR},"block":255,"crc":4294967295,"dataHex":"${BLOCK}"}`,
  `{"kind":"mend_block",${REPAIR},"block":0,"crc":0,"dataHex":null}`,
  `{"kind":"join_damaged",${JOIN},"chunk":${CHUNK},"blocks":[0,255]}`,
  `{"kind":"join_begin",${JOIN},"config":${CONFIG},"mode":"delta"}`,
  `{"kind":"join_region",${JOIN},"region":1023,"chunks":[${CHUNK}]}`,
  `{"kind":"join_sync",${JOIN}}`,
  `{"kind":"join_final",${JOIN},"resyncHex":"${BITMAP}","keysHash":"h"}`,
  `{"kind":"join_abort",${JOIN}}`,
];

const LINK_ANSWERS = [
  '{"kind":"done","requestId":11}',
  `{"kind":"pg_results","requestId":11,"results":[{"pgId":7,"ok":false,"reason":"r","config":${CONFIG}},{"pgId":8,"ok":true,"reason":"","config":null}]}`,
  `{"kind":"join_begun","requestId":11,"resyncHex":"${BITMAP}"}`,
  '{"kind":"cleared","requestId":11}',
  '{"kind":"blocks_verified","requestId":11,"crcsHex":"0000000001020304","bad":[1]}',
  `{"kind":"block_fetched","requestId":11,"crc":4294967295,"dataHex":"${BLOCK}"}`,
  REFUSED,
];

/** A field that is new, gone or renamed does not come back the same. */
function assertKept(schema: z.ZodType, text: string): void {
  const message: unknown = JSON.parse(text);
  assertEquals(schema.parse(message), message);
}

function kindsOf(texts: readonly string[]): string[] {
  return [...new Set(texts.map((text): string => JSON.parse(text).kind))].sort();
}

for (
  const [name, schema, texts] of [
    ["sessionRequestSchema", sessionRequestSchema, SESSION_REQUESTS],
    ["sessionAnswerSchema", sessionAnswerSchema, SESSION_ANSWERS],
    ["linkRequestSchema", linkRequestSchema, LINK_REQUESTS],
    ["linkAnswerSchema", linkAnswerSchema, LINK_ANSWERS],
  ] as const
) {
  Deno.test(`${name} takes one sample of each kind as it travels, and has no other kind`, () => {
    for (const text of texts) assertKept(schema, text);
    const kinds = schema.options.map(({ shape }) => shape.kind.value).sort();
    assertEquals(kindsOf(texts), kinds);
  });

  Deno.test(`${name} needs every field of every sample`, () => {
    for (const text of texts) {
      const message: Record<string, unknown> = JSON.parse(text);
      for (const field of Object.keys(message)) {
        const { [field]: _, ...others } = message;
        assertEquals(schema.safeParse(others).success, false, `${text.slice(0, 80)} without ${field}`);
      }
    }
  });
}

Deno.test("messages that open a connection keep their form", () => {
  for (const [schema, ...texts] of Object.values(OPENING)) {
    for (const text of texts) assertKept(schema, text);
  }
});

Deno.test("linkRequestSchema refuses what is out of range", () => {
  const [sample] = LINK_REQUESTS.filter((text) => text.includes('"mend_block"'));
  const mend = JSON.parse(sample!);
  for (
    const wrong of [
      { block: 256 },
      { block: -1 },
      { crc: 2 ** 32 },
      { dataHex: BLOCK.slice(2) },
      { dataHex: BLOCK.toUpperCase() },
      { chunk: null },
    ]
  ) {
    assertEquals(linkRequestSchema.safeParse({ ...mend, ...wrong }).success, false, Object.keys(wrong)[0]);
  }
});
