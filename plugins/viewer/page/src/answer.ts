// Questions as they change: one is on its way at a time, and the last one wins.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused } from "./api";

export interface Answer<T> {
  value: T | null;
  error: Refused | null;
  busy: boolean;
}

let revision = 0;

/** Say that a new answer is on the page: tests wait for it. */
export function revised(): void {
  requestAnimationFrame(() => {
    revision += 1;
    document.documentElement.dataset.rev = String(revision);
  });
}

export function useAnswer<Q, T>(question: Q | null, ask: (question: Q) => Promise<T>): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: null, error: null, busy: true });
  const latest = useRef<{ text: string; question: Q | null }>({ text: "", question: null });
  const flying = useRef(false);
  const text = JSON.stringify(question);
  useEffect(() => {
    latest.current = { text, question };
    if (question === null) return;
    setAnswer((before) => (before.busy ? before : { ...before, busy: true }));
    if (!flying.current) void fly();
    async function fly(): Promise<void> {
      flying.current = true;
      let asked = "";
      while (asked !== latest.current.text && latest.current.question !== null) {
        asked = latest.current.text;
        const same = (): boolean => asked === latest.current.text;
        try {
          const value = await ask(latest.current.question);
          setAnswer({ value, error: null, busy: !same() });
        } catch (error) {
          const refused = error instanceof Refused ? error : new Refused(`no answer: ${String(error)}`, "is the server running?");
          if (same()) setAnswer((before) => ({ value: before.value, error: refused, busy: false }));
        }
      }
      flying.current = false;
    }
  }, [text]);
  useEffect(() => {
    if (answer.value || answer.error) revised();
  }, [answer.value, answer.error]);
  return answer;
}

export function Problem(error: Refused | null): string {
  return error ? `${error.message}${error.hint ? ` (${error.hint})` : ""}` : "";
}
