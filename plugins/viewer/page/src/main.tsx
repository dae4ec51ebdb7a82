// The page: where it is, what is asked, and the pages over it.

import { render } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Problem, useAnswer, useTold } from "./answer";
import { ahead, analyze, boot as load, report } from "./api";
import { Compare, compareCommand } from "./compare";
import { Controls, dropped, take } from "./controls";
import { Explore } from "./explore";
import { HardwarePage } from "./hardware";
import { memo } from "./memo";
import { Passes } from "./passes";
import { copyText, save } from "./saving";
import { options, type Place, quoted, read, whole, write } from "./scenario";
import { Stale } from "./stale";
import { fixed, Sweep, sweepOptions } from "./sweep";
import type { Boot, Question, Told } from "./types";
import { turned, WhatIf } from "./whatif";
import "./style.css";

const PAGES: [string, string][] = [["explore", "Explore"], ["compare", "Compare"], ["sweep", "Sweep"], ["passes", "Passes"], ["hardware", "Hardware"], ["what-if", "What if"]];
const SHOWN = report ? PAGES.filter(([key]) => !["sweep", "what-if"].includes(key)) : PAGES;

const SETTLED_MS = 150; // the address follows a slider once it rests: browsers ration changes of it

function theme(): string {
  try {
    return localStorage.getItem("mansard-theme") ?? "";
  } catch {
    return "";
  }
}

/** Where the address says the page is; the scenario it begins with where the address has none. */
function begin(boot: Boot): Place {
  const found = read(location.hash);
  const start = report ? report.held[0].question : boot.start;
  return { ...found, question: Object.keys(found.question).length ? found.question : { ...start } };
}

function App({ boot }: { boot: Boot }) {
  const [place, setPlace] = useState<Place>(() => begin(boot));
  const [problem, tell] = useState("");
  const page = SHOWN.some(([key]) => key === place.page) ? place.page : "explore";
  const question = useMemo(() => whole(place.question), [place.question]);
  const pushed = useRef(false);
  useEffect(() => {
    const settle = (): void => {
      const hash = write({ ...place, page });
      if (hash !== location.hash) history[pushed.current ? "pushState" : "replaceState"](null, "", hash);
      pushed.current = false;
      document.title = `${dropped.get(question.model) ?? question.model} on ${question.on} · mansard`;
    };
    if (pushed.current) settle();
    const later = setTimeout(settle, SETTLED_MS);
    return () => clearTimeout(later);
  }, [place]);
  useEffect(() => {
    const moved = (): void => setPlace(read(location.hash));
    addEventListener("popstate", moved);
    addEventListener("hashchange", moved);
    return () => {
      removeEventListener("popstate", moved);
      removeEventListener("hashchange", moved);
    };
  }, []);
  const change = useCallback((part: Partial<Question>): void => setPlace((before) => ({ ...before, question: { ...before.question, ...part } })), []);
  const look = useCallback((part: Record<string, string>): void => setPlace((before) => ({ ...before, rest: { ...before.rest, ...part } })), []);
  const go = useCallback((page: string, part: Partial<Question> = {}): void => {
    pushed.current = true;
    setPlace((before) => ({ ...before, page, question: { ...before.question, ...part } }));
    scrollTo(0, 0);
  }, []);
  const answer = useAnswer<Question, Told>(page === "explore" ? question : null, analyze);
  useTold(page === "explore" ? Problem(answer.error) : "", tell);
  const drop = (event: DragEvent): void => {
    const file = event.dataTransfer?.files[0];
    if (!file || report) return;
    event.preventDefault();
    void take(file, change, question.set);
  };
  return (
    <div class="app" onDragOver={(e) => e.preventDefault()} onDrop={drop}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the answer</a>
      <Top boot={boot} page={page} go={go} question={question} rest={place.rest} told={answer.value} problem={problem} />
      <div class="body">
        <aside aria-label="Scenario">
          <Controls boot={boot} question={question} change={change} />
        </aside>
        <main id="main" tabIndex={-1} data-page={page} aria-busy={page === "explore" && answer.busy}>
          {page === "explore" && (
            <Stale error={answer.error} of={() => answer.asked && options(answer.asked, dropped.get(answer.asked.model))}>
              <Explore told={answer.value} refused={!!answer.error} level={question.level ?? "O1"} rest={place.rest} look={look} />
            </Stale>
          )}
          {page === "compare" && <Compare boot={boot} question={question} rest={place.rest} look={look} tell={tell} />}
          {page === "sweep" && <Sweep boot={boot} question={question} rest={place.rest} look={look} go={go} tell={tell} />}
          {page === "passes" && <Passes question={question} rest={place.rest} look={look} tell={tell} />}
          {page === "hardware" && <HardwarePage boot={boot} question={question} rest={place.rest} look={look} use={(chip) => go("explore", { on: chip })} tell={tell} />}
          {page === "what-if" && <WhatIf boot={boot} question={question} rest={place.rest} look={look} tell={tell} />}
        </main>
      </div>
    </div>
  );
}

const Top = memo(({ boot, page, go, question, rest, told, problem }: { boot: Boot; page: string; go: (page: string) => void; question: Question; rest: Record<string, string>; told: Told | null; problem: string }) => {
  const [said, setSaid] = useState("");
  const [dark, setDark] = useState(theme());
  useEffect(() => {
    document.documentElement.dataset.theme = dark;
    try {
      localStorage.setItem("mansard-theme", dark);
    } catch {
      // a page from disk may keep nothing
    }
  }, [dark]);
  const model = dropped.get(question.model) ?? question.model;
  const asked = options(question, model);
  const commands: Record<string, string> = {
    explore: `mansard analyze ${asked}`,
    compare: compareCommand(question, rest.with),
    sweep: `mansard sweep ${options(fixed(question, rest), model)} ${sweepOptions(rest)}`,
    passes: ["mansard graph", quoted(model), ...(question.techniques ?? []).map((t) => `-t ${quoted(t)}`), ...(question.level === "O0" ? ["-O0"] : []), "--print-after all"].join(" "),
    hardware: `mansard hardware show ${rest.chip ?? question.on.split(":")[0]}`,
    "what-if": `mansard analyze ${options(turned(boot, question, rest), model)}`,
  };
  const copy = async (what: string, text: string): Promise<void> => {
    const none = what === "command" && problem ? `no command: ${problem}` : "";
    setSaid(none || ((await copyText(text)) ? `${what} copied` : text));
    setTimeout(() => setSaid(""), 2500);
  };
  return (
    <header class="top">
      <span class="brand" aria-label="mansard">
        <svg viewBox="0 0 28 20" width="28" height="20" aria-hidden="true"><path d="M2 18 9 5 26 3" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round" /></svg>
        mansard
      </span>
      <nav aria-label="Pages">
        {SHOWN.map(([key, label]) => <a key={key} href={`#/${key}`} aria-current={key === page ? "page" : undefined} onClick={(e) => { e.preventDefault(); go(key); }}>{label}</a>)}
      </nav>
      <span class="grow" />
      <span class="said" role="status">{said}</span>
      <button type="button" class="tool" id="copy-command" title={problem ? `no command: ${problem}` : commands[page]} aria-disabled={!!problem} onClick={() => void copy("command", commands[page])}>Copy command</button>
      {!report && <button type="button" class="tool" onClick={() => void copy("link", new URL(write({ page, question, rest }), location.href).href)}>Copy link</button>}
      {told && !problem && page === "explore" && <button type="button" class="tool" onClick={() => save(`${told.result.model.name}-${told.roof.id}.json`, `${JSON.stringify(told.result, null, 2)}\n`, "application/json")}>JSON</button>}
      <button type="button" class="tool" id="theme" title="Light, dark, or as the system" onClick={() => setDark(dark === "" ? "dark" : dark === "dark" ? "light" : "")}>{dark === "dark" ? "Dark" : dark === "light" ? "Light" : "Auto"}</button>
    </header>
  );
});

const root = document.getElementById("app")!;
const chosen = theme();
if (chosen) document.documentElement.dataset.theme = chosen;
const linked = read(location.hash);
const named = Object.keys(linked.question).length > 0;
if (named && linked.page === "explore") ahead(whole(linked.question));
load()
  .then((boot) => {
    const { page, question } = begin(boot);
    if (!named && page === "explore") ahead(whole(question));
    render(<App boot={boot} />, root);
  })
  .catch((error: Error) => render(<p class="problem" role="alert">{error.message}</p>, root));
