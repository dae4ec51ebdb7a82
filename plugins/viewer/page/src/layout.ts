// Layers from dagre. Its width ignores edges, so the drawing is measured from their points too.

import { Graph, layout as run } from "@dagrejs/dagre";
import type { Edge } from "./view";

export const WIDTH = 168;
export const HEIGHT = 44;

export interface Asked {
  nodes: string[];
  edges: Edge[];
}

export interface Placed {
  width: number;
  height: number;
  at: Record<string, { x: number; y: number }>;
  paths: { x: number; y: number }[][];
}

export function layout(asked: Asked): Placed {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 18, ranksep: 38, edgesep: 14, marginx: 22, marginy: 22 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of asked.nodes) graph.setNode(id, { width: WIDTH, height: id.startsWith("input ") ? 26 : HEIGHT });
  asked.edges.forEach((edge, k) => graph.setEdge(edge.from, edge.to, {}, String(k)));
  run(graph);
  const at: Placed["at"] = {};
  for (const id of asked.nodes) {
    const { x, y } = graph.node(id) as { x: number; y: number };
    at[id] = { x, y };
  }
  const paths = asked.edges.map((edge, k) => (graph.edge(edge.from, edge.to, String(k)) as { points: { x: number; y: number }[] }).points);
  const points = [...paths.flat(), ...Object.values(at).map((p) => ({ x: p.x + WIDTH / 2, y: p.y + HEIGHT / 2 }))];
  return {
    width: Math.ceil(Math.max(200, ...points.map((p) => p.x)) + 22),
    height: Math.ceil(Math.max(80, ...points.map((p) => p.y)) + 22),
    at,
    paths,
  };
}
