import type { ChosenVariant, ModelSelection, VariantWish } from '../inference/model-selection.ts';
import { BadUserInputError, NotFoundError } from '../lib/errors.ts';
import { chooseVariant } from './choose-variant.ts';
import type { ModelRegistry } from './registry.ts';

/** Resolves what a request names to the artefact that answers it. */
export class RegistrySelection implements ModelSelection {
  readonly #registry: ModelRegistry;

  constructor(registry: ModelRegistry) {
    this.#registry = registry;
  }

  async choose(tenantId: string, wish: VariantWish): Promise<ChosenVariant> {
    const model = await this.#registry.resolve(tenantId, wish.model);
    if (!model) {
      throw new NotFoundError(
        `input.model: there is no model ${JSON.stringify(wish.model)}: the query models lists yours.`,
      );
    }
    const field = wish.task.toLowerCase();
    if (model.task !== wish.task) {
      throw new BadUserInputError(
        `input.model: ${model.name} is a model for ${model.task.toLowerCase()}, not for ${field}.`,
      );
    }
    const variant = chooseVariant(model.variants, wish.compression, wish.auto, wish.latencyMs);
    if (!variant) {
      const variants = model.variants.map(({ compression }) => compression).join(', ');
      const wanted =
        wish.compression === 'AUTO'
          ? 'within the bounds of input.auto'
          : `of compression ${wish.compression}`;
      throw new NotFoundError(
        `input.compression: ${model.name}@${model.version} has no variant ${wanted}; it has ${variants}.`,
      );
    }
    return { model: model.name, version: model.version, variant };
  }
}
