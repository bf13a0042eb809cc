// What must hold of an answer. Whoever calls goes on with what is there.

import { inWords } from "./problems.js";
import type { Problem } from "./problems.js";

export function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not so: ${what}`);
}

/** The body of an answer that went well. */
export function good<T>(answer: { data?: T; error?: Problem; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  throw new Error(`${answer.response.status}: ${answer.error ? inWords(answer.error) : "no body"}`);
}

/** The problem of an answer that must have one with this code. */
export function refused(answer: { error?: Problem; response: Response }, code: Problem["code"]): Problem {
  expect(answer.error !== undefined, `refused with ${code}, and not answered ${answer.response.status}`);
  expect(answer.error.code === code, `refused with ${code}, and not ${answer.error.code}: ${answer.error.detail}`);
  expect(answer.error.status === answer.response.status, "the status stands in the body as well");
  return answer.error;
}

export function etag(answer: { response: Response }): string {
  const tag = answer.response.headers.get("etag");
  expect(tag !== null, "the answer has an ETag");
  return tag;
}
