import type { GraphProto, NodeProto } from './generated/onnx_pb.ts';
import { graphsUnder } from './walk.ts';

/** Operators that say how large a value is, whatever is in it. */
const measures = new Set(['Shape', 'Size']);

/** The values of the graph itself, not of those nested in it, that are computed from what is in `input`. */
export function dependentsOf(graph: GraphProto, input: string): Set<string> {
  const dependents = new Set([input]);
  // Nodes stand in the order of their execution: ONNX has it so.
  for (const node of graph.node) {
    if (measures.has(node.opType) || !valuesReadBy(node).some((name) => dependents.has(name))) continue;
    for (const name of node.output) dependents.add(name);
  }
  dependents.delete(''); // an output left out
  return dependents;
}

/** With what the graphs nested in the node read of those around them. */
function valuesReadBy(node: NodeProto): string[] {
  const within = [...graphsUnder(node)].flatMap((graph) => graph.node.flatMap(({ input }) => input));
  return [...node.input, ...within];
}
