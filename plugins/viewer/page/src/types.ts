// What the server tells; the result itself is the document `mansard.result/1`.

export interface Question {
  model: string;
  on: string;
  batch?: number | string;
  prompt?: number | string;
  output?: number | string;
  context?: number | string;
  phase?: string;
  techniques?: string[];
  level?: string;
  estimate?: string;
  set?: Record<string, string>;
  price?: string;
}

export interface OpRow {
  name: string;
  kind: string;
  count: number;
  flops: number;
  bytes: number;
  weight_bytes: number;
  activation_bytes: number;
  kv_bytes: number;
  link_bytes: number;
  intensity: number | null;
  bound: string;
  attainable_flops_per_s: number | null;
  time_s: number;
  share: number;
  compute_dtype: string;
  weight_encoding: string;
  unit: string;
  graph: string;
  device: string;
  dims: Record<string, number | string>;
  flops_by_unit: Record<string, number>;
  bytes_by_place: Record<string, number>;
  ideal_s?: number; // of a calibrated row: the bound, the band, what it was fitted on
  low_s?: number;
  high_s?: number;
  basis?: string;
}

export interface Phase {
  time_s: number;
  flops: number;
  bytes: number;
  weight_bytes: number;
  activation_bytes: number;
  kv_bytes: number;
  link_bytes: number;
  bound: string;
  time_by_resource_s: Record<string, number>;
  overlapped_s: number;
  first_step_s?: number;
  last_step_s?: number;
  ops: OpRow[];
}

export interface Memory {
  weights: number;
  kv_cache: number;
  activations: number;
  overhead: number;
  total: number;
  capacity: number | null;
  fits: boolean | null;
}

export interface Result {
  model: { name: string; family: string; params: number; active_params: number; kv_bytes_per_token: number; state_bytes: number; source: string };
  hardware: { name: string; devices: number };
  scenario: { batch: number; prompt: number; output: number; lengths?: Record<string, string> };
  techniques: { name: string; options: Record<string, unknown>; changed: string; notes: string[] }[];
  estimate: string;
  phases: Record<string, Phase>;
  memory: Memory;
  metrics: Record<string, number | null>;
  makes: string; // what throughput counts
  unknown: Record<string, string>; // a metric that is null → why
  warnings: { code: string; message: string }[];
  bands?: Record<string, { low: number; high: number }>;
  ratio?: Record<string, number | null>;
  ideal?: { metrics: Record<string, number | null>; phases: Record<string, { time_s: number }> };
  basis?: { set: string; form: string; rows: number; share: number }[];
}

export interface Node {
  id: string;
  name: string;
  kind: string;
  reads?: number[];
  makes?: number[];
  leaves?: string[];
  because?: string[];
  ops?: [string, string][];
  device?: string;
  parent?: string;
  row?: string;
  formulas?: Record<string, string>;
  region?: string;
  trips?: string | null;
  share?: string | null;
  ins?: number[];
  body_ins?: number[];
  body_outs?: number[];
}

export interface Sketch {
  inputs: number[];
  outputs: number[];
  values: string[];
  nodes: Node[];
  left_out: number;
}

export interface Drawing {
  graphs: Record<string, Sketch>;
  kinds: Record<string, string>;
  calls: { graph: string; phase: string; bind: string; pool: string }[];
  mesh: Record<string, number>;
}

export interface Roof {
  name: string;
  id: string;
  bandwidth_bytes_per_s: number | null;
  link_bytes_per_s: number | null;
  onchip_bytes: number | null;
  peaks: { label: string; unit: string; flops_per_s: number }[];
}

export type RowExtra = [key: string, times: Record<string, number>, members: string[]];

export interface Told {
  result: Result;
  rows: Record<string, RowExtra[]>;
  steps: Record<string, number>;
  decodes_several: boolean; // a decode step makes other than one token: its figures are of a token
  roof: Roof;
  graph: string;
  drawing?: Drawing;
}

export interface Option {
  name: string;
  type: string;
  default: string | null;
  help: string;
  choices: string[];
  least: number | null;
  most: number | null;
  unit: string;
}

export interface Technique {
  name: string;
  summary: string;
  text: string;
  owner: string;
  source: string;
  level: string;
  requires: string[];
  conflicts: string[];
  assumes: string[];
  omits: string[];
  options: Option[];
}

export interface Chip {
  id: string;
  name: string;
  vendor: string;
  year: number | null;
  kind: string;
  memory: number | null;
  bandwidth: number | null;
  link: number | null;
  bf16: number | null;
  fp8: number | null;
  tdp: number | null;
  confidence: string;
}

export interface ChipSheet extends Record<string, unknown> {
  id: string;
  name: string;
  notes: string;
  figures: { key: string; value: string; source: string }[];
}

export interface Metric {
  name: string;
  label: string;
  dimension: string;
  better: string;
}

export interface Boot {
  models: { name: string; parameters: number | null }[];
  chips: Chip[];
  techniques: Technique[];
  metrics: Record<string, Metric>;
  start: Partial<Question>;
}

export interface Stage {
  title: string;
  name?: string;
  changed: string;
  same?: boolean;
  notes?: string[];
  source?: string;
  graph: string;
  ops: number;
  memory: Memory;
  phases: Record<string, Record<string, number>>;
}

export interface Staged {
  stages: Stage[];
  drawings: Record<string, Drawing>;
}

export interface Compared {
  records: Record<string, number | string | boolean | null>[];
  problems: (string | null)[];
  best: Record<string, boolean[]>;
  change: Record<string, number | null>[];
  phases: Record<string, Record<string, number>>[];
  memory: (Memory | null)[];
  decodes_several: boolean[];
}

export interface Solution {
  find: string;
  value: number | string | boolean | null;
  intervals: [unknown, unknown][];
  binding: string | null;
  method: string;
  reason: string | null;
  constraints: { text: string; holds: boolean | null; intervals: [unknown, unknown][] }[];
}

export interface Swept {
  axes: Record<string, (number | string)[]>;
  columns: Record<string, (number | string | boolean | null)[]>;
  front: number[];
  notes: { code: string; message: string }[];
}

export interface Held {
  label: string;
  question: Question;
  told: Told;
  staged: Staged;
}

export interface Report {
  boot: Boot;
  held: Held[];
  sheets: Record<string, ChipSheet>;
  drawings: Record<string, Omit<Drawing, "kinds">>;
  kinds: Record<string, string>;
  words: string[]; // texts that nodes and sheets name by their number
  version: string;
}
