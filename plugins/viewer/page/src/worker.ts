// Layout of large graphs, off the thread that paints.

import { type Asked, layout } from "./layout";

self.onmessage = (event: MessageEvent<{ id: number; asked: Asked }>) => {
  self.postMessage({ id: event.data.id, placed: layout(event.data.asked) });
};
