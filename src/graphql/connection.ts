/** One page of a list in Relay's form. A cursor is opaque to clients: it is whatever the list's service finds its place by. */
export interface Connection<Node> {
  readonly edges: readonly { readonly cursor: string; readonly node: Node }[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  readonly totalCount: number;
}

export function connection<Node>(
  page: { readonly rows: readonly Node[]; readonly totalCount: number; readonly hasNextPage: boolean },
  cursorOf: (node: Node) => string,
): Connection<Node> {
  const edges = page.rows.map((node) => ({ cursor: cursorOf(node), node }));
  return {
    edges,
    pageInfo: { hasNextPage: page.hasNextPage, endCursor: edges.at(-1)?.cursor ?? null },
    totalCount: page.totalCount,
  };
}
