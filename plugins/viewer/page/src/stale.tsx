// While a question has no answer: the answer before it, faded, out of reach, and said to be another's.

import type { ComponentChildren } from "preact";
import { Problem } from "./answer";
import type { Refused } from "./api";

export function Stale({ error, of, children }: { error: Refused | null; of: () => string | null; children: ComponentChildren }) {
  const other = error && of();
  return (
    <>
      {error && <p class="problem" role="alert">{Problem(error)}</p>}
      {other && <p class="quiet small" data-stale={other}>Faded below: the last that was answered, <code>{other}</code>.</p>}
      <div class={error ? "kept stale" : "kept"} inert={!!error}>{children}</div>
    </>
  );
}
