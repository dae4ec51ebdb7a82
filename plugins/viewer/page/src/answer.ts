// Questions as they change: one is on its way at a time, and the last one wins.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api";
import { onPage } from "./format";

export interface Answer<T> {
  value: T | null;
  error: Refused | null;
  busy: boolean;
}

export interface Asked<Q, T> extends Answer<T> {
  asked: Q | null; // the question that the value answers
}

interface Kept<Q, T> {
  value: T | null;
  asked: Q | null;
  error: Refused | null;
  of: string; // the last question, as text
}

let revision = 0;

/** Say that a new answer is on the page: tests wait for it. */
export function revised(): void {
  requestAnimationFrame(() => {
    revision += 1;
    document.documentElement.dataset.rev = String(revision);
  });
}

// Layout effects run before the frame is painted: a question leaves in the frame of its slider's
// event, and an answer is told of in the frame that shows it.
export function useAnswer<Q, T>(question: Q | null, ask: (question: Q) => Promise<T>): Asked<Q, T> {
  const [answer, setAnswer] = useState<Kept<Q, T>>({ value: null, asked: null, error: null, of: "" });
  const text = JSON.stringify(question);
  const latest = useRef<{ text: string; question: Q | null }>({ text: "", question: null });
  const flying = useRef(false);
  useLayoutEffect(() => {
    latest.current = { text, question };
    if (question !== null && !flying.current) void fly();
    async function fly(): Promise<void> {
      flying.current = true;
      let asked = "";
      while (asked !== latest.current.text && latest.current.question !== null) {
        asked = latest.current.text;
        const of = asked;
        const about = latest.current.question;
        try {
          const value = await ask(about);
          setAnswer({ value, asked: about, error: null, of });
        } catch (error) {
          const refused = error instanceof Refused ? error : new Refused(`no answer: ${String(error)}`, "is the server running?");
          if (of === latest.current.text) setAnswer((before) => ({ ...before, error: refused, of }));
        }
      }
      flying.current = false;
    }
  }, [text]);
  useLayoutEffect(() => {
    if (answer.value || answer.error) revised();
  }, [answer.value, answer.error]);
  return { value: answer.value, asked: answer.asked, error: answer.error, busy: answer.of !== text };
}

export function Problem(error: Refused | null): string {
  return error ? onPage(`${error.message}${error.hint ? ` (${error.hint})` : ""}`) : "";
}

export type Tell = (problem: string) => void;

/** Tell the page's head what is wrong, as long as it is: a command that must fail is not offered. */
export function useTold(problem: string, tell: Tell): void {
  useLayoutEffect(() => {
    tell(problem);
    return () => tell("");
  }, [problem]);
}
