/** A query to begin with, made from the schema: what a new page shows to somebody who does not know this server yet. */

import { useGraphiQL } from '@graphiql/react';
import {
  getNamedType,
  getNullableType,
  GraphQLInt,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import { useEffect } from 'react';

/** What stands in the editor until the schema is there, and stays if nothing can be made of it. */
export const GREETING = `# Ctrl-Enter runs this, Ctrl-Space completes.
# On the left: documentation, plan, history.
`;

const SCALARS = 4;
const LEVELS = 2;

/** Arguments that keep a list short, by the names that people give them. */
const SHORT = new Map([
  ['first', 5],
  ['limit', 5],
]);

/** @typedef {import('graphql').GraphQLField<unknown, unknown>} Field */

/** Puts the query into the editor when the schema comes, if nothing else is there. Renders nothing. */
export function FirstQuery() {
  const schema = useGraphiQL((state) => state.schema);
  const editor = useGraphiQL((state) => state.queryEditor);
  useEffect(() => {
    const query = schema && editor?.getValue() === GREETING && firstQuery(schema);
    if (query) {
      editor.setValue(`${GREETING}\n${query}\n`);
    }
  }, [schema, editor]);
  return null;
}

/**
 * A query of the most promising root field, some levels deep.
 *
 * @param {import('graphql').GraphQLSchema} schema
 * @returns {string | undefined} nothing if every root field needs arguments
 */
export function firstQuery(schema) {
  const roots = callable(schema.getQueryType());
  // The first list of objects shows most; any object shows more than a value.
  const root = roots.find((field) => isList(field) && isObject(field)) ?? roots.find(isObject) ?? roots[0];
  return root && `{\n  ${selected(root, LEVELS, '  ')}\n}`;
}

/**
 * A field with what is chosen below it.
 *
 * @param {Field} field
 * @param {number} levels
 * @param {string} indent
 * @returns {string}
 */
function selected(field, levels, indent) {
  const type = getNamedType(field.type);
  if (isLeafType(type)) {
    return field.name;
  }
  const fields = isObjectType(type) ? callable(type) : [];
  const leaves = fields.filter((below) => isLeafType(getNamedType(below.type))).slice(0, SCALARS);
  const nested = levels > 1 ? fields.find((below) => isObject(below) && getNamedType(below.type) !== type) : undefined;
  const chosen = [...leaves, ...(nested ? [nested] : [])].map((below) => selected(below, levels - 1, `${indent}  `));
  const lines = chosen.length ? chosen : ['__typename'];
  return `${field.name}${shortly(field)} {\n${lines.map((line) => `${indent}  ${line}\n`).join('')}${indent}}`;
}

/**
 * The argument that keeps a field's list short, if it has one.
 *
 * @param {Field} field
 */
function shortly(field) {
  const limit = field.args.find(({ name, type }) => SHORT.has(name) && getNullableType(type) === GraphQLInt);
  return limit ? `(${limit.name}: ${SHORT.get(limit.name)})` : '';
}

/**
 * The fields that can be asked for without knowing more.
 *
 * @param {import('graphql').GraphQLObjectType | null | undefined} type
 */
function callable(type) {
  return Object.values(type?.getFields() ?? {}).filter(
    (field) => !field.args.some(isRequiredArgument) && !field.deprecationReason,
  );
}

/** @param {Field} field */
function isList(field) {
  return isListType(getNullableType(field.type));
}

/** @param {Field} field */
function isObject(field) {
  return isObjectType(getNamedType(field.type));
}
