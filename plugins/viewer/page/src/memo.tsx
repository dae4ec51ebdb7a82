// Parts of the page that are drawn again only when what they are given is other than before.

import type { ComponentType, VNode } from "preact";
import { useRef } from "preact/hooks";

/** A component that keeps what it drew while every property is the same. */
export function memo<P extends object>(View: ComponentType<P>): (props: P) => VNode {
  return function Memo(props: P) {
    const drawn = useRef<{ props: P; node: VNode } | null>(null);
    if (drawn.current === null || !same(drawn.current.props, props)) drawn.current = { props, node: <View {...props} /> };
    return drawn.current.node;
  };
}

function same<P extends object>(a: P, b: P): boolean {
  const keys = Object.keys(b) as (keyof P)[];
  return Object.keys(a).length === keys.length && keys.every((key) => Object.is(a[key], b[key]));
}
