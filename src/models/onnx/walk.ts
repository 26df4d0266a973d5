import type { AttributeProto, GraphProto, NodeProto, TensorProto } from './generated/onnx_pb.ts';
import type { OnnxModel } from './model-file.ts';

/** The graph and every graph nested in its nodes (branches of `If`, bodies of `Loop` and `Scan`), outermost first. */
export function* graphsWithin(graph: GraphProto): Generator<GraphProto> {
  yield graph;
  for (const node of graph.node) yield* graphsUnder(node);
}

/** Every tensor the file stores or points to: weights, constants, those of nested graphs and of local functions. */
export function* storedTensors(model: OnnxModel): Generator<TensorProto> {
  for (const graph of graphsWithin(model.graph)) yield* tensorsOf(graph);
  for (const { node } of model.functions) {
    for (const each of node) {
      yield* tensorsUnder(each);
      for (const graph of graphsUnder(each)) yield* tensorsOf(graph);
    }
  }
}

/** Those nested in one node, in whatever depth. */
export function* graphsUnder(node: NodeProto): Generator<GraphProto> {
  for (const attribute of node.attribute) {
    for (const graph of attribute.g === undefined ? attribute.graphs : [attribute.g])
      yield* graphsWithin(graph);
  }
}

function* tensorsOf(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const sparse of graph.sparseInitializer) yield* present(sparse.values, sparse.indices);
  for (const node of graph.node) yield* tensorsUnder(node);
}

function* tensorsUnder(node: NodeProto): Generator<TensorProto> {
  for (const attribute of node.attribute) yield* tensorsOfAttribute(attribute);
}

function* tensorsOfAttribute(attribute: AttributeProto): Generator<TensorProto> {
  yield* present(attribute.t, ...attribute.tensors);
  for (const sparse of present(attribute.sparseTensor, ...attribute.sparseTensors)) {
    yield* present(sparse.values, sparse.indices);
  }
}

function present<T>(...values: (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}
