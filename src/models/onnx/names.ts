import type { OnnxModel } from './model-file.ts';
import { graphsWithin } from './walk.ts';

/**
 * Gives out names that no value and no node of the model bears, nested graphs included: those see the outer graph's
 * values by name. Each name is given out once.
 */
export function freeNames(model: OnnxModel): (wish: string) => string {
  const taken = new Set<string>();
  for (const graph of graphsWithin(model.graph)) {
    for (const { name } of [...graph.input, ...graph.output, ...graph.initializer, ...graph.valueInfo])
      taken.add(name);
    for (const { values } of graph.sparseInitializer) taken.add(values?.name ?? '');
    for (const node of graph.node) {
      for (const name of [node.name, ...node.input, ...node.output]) taken.add(name);
    }
  }
  return (wish) => {
    let name = wish;
    for (let suffix = 2; taken.has(name); suffix += 1) name = `${wish}_${suffix}`;
    taken.add(name);
    return name;
  };
}
