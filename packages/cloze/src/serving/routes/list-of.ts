// Lists of bodies. Zod looks at every item of a wrong list, and a body may hold a million.
import { z } from "zod";

/**
 * A list that is refused at its first wrong item.
 *
 * @param error what is expected, where there is no list
 * @param options.isRight tells most right items without asking their schema, which takes longer
 */
export const listOf = <Item extends z.ZodType>(
  item: Item,
  error: string,
  { isRight = () => false }: { isRight?: (value: unknown) => boolean } = {},
) =>
  z
    .array(z.unknown(), { error })
    .meta({ items: describeItem(item) })
    .transform((list, context): z.output<Item>[] => {
      const read: z.output<Item>[] = [];
      for (const [place, one] of list.entries()) {
        const checked = isRight(one) ? undefined : item.safeParse(one);
        if (checked?.success === false) {
          const [{ path, message }] = checked.error.issues;
          context.addIssue({ code: "custom", path: [place, ...path], message });
          return z.NEVER;
        }
        read.push(checked === undefined ? (one as z.output<Item>) : checked.data);
      }
      return read;
    });

function describeItem(item: z.ZodType): object {
  const { $schema, ...schema } = z.toJSONSchema(item, { io: "input", unrepresentable: "any" });
  return schema;
}

export const isText = (value: unknown): value is string => typeof value === "string";

/** Texts. */
export const textList = (error = "expected a list of texts") => listOf(z.string(), error, { isRight: isText });

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

export const isIdList = (value: unknown): value is number[] => Array.isArray(value) && value.every(isId);

/** Ids of a model's tokens. */
export const idList = (error = "expected a list of token ids") => listOf(z.int().min(0), error, { isRight: isId });

/** Several such lists. */
export const idLists = (error = "expected lists of token ids") => listOf(idList(), error, { isRight: isIdList });
