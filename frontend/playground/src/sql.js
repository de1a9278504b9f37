/** Statements as people like to read them: coloured, and with lines where a long one has none. */

/** What a statement is made of, in order of precedence; the group that matched names the kind. */
const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+)`,
    String.raw`(?<comment>--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    String.raw`(?<string>[eEbBxX]?'(?:[^']|'')*(?:'|$)|\$(?<tag>(?:[A-Za-z_]\w*)?)\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    String.raw`(?<parameter>\$\d+)`,
    String.raw`(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)`,
    String.raw`(?<name>"(?:[^"]|"")*(?:"|$)|[\p{L}_][\p{L}\p{N}_$]*)`,
    String.raw`(?<other>::|[\s\S])`,
  ].join('|'),
  'gu',
);

const KEYWORDS = new Set(
  `ALL AND ANY ARRAY AS ASC BETWEEN BY CASE CAST COLLATE CONFLICT CROSS CURRENT_DATE CURRENT_TIMESTAMP DEFAULT DELETE DESC
  DISTINCT DO ELSE END EXCEPT EXISTS FALSE FETCH FILTER FIRST FOLLOWING FOR FROM FULL GROUP HAVING ILIKE IN INNER INSERT
  INTERSECT INTO IS JOIN LAST LATERAL LEFT LIKE LIMIT MATERIALIZED NATURAL NOT NOTHING NULL NULLS OFFSET ON ONLY OR ORDER
  ORDINALITY OUTER OVER PARTITION PRECEDING RANGE RECURSIVE RETURNING RIGHT ROW ROWS SELECT SET SKIP SOME TABLE THEN TRUE
  UNBOUNDED UNION UPDATE USING VALUES WHEN WHERE WINDOW WITH`.split(/\s+/),
);

/** Words that begin a line where a statement comes as one, unless they belong to the word before. */
const CLAUSES = new Set(
  'EXCEPT FROM GROUP HAVING INTERSECT JOIN LIMIT OFFSET ORDER RETURNING SET UNION VALUES WHERE WINDOW'.split(' '),
);
const JOINS = new Set('CROSS FULL INNER LEFT NATURAL RIGHT'.split(' '));
const BINDS = new Set([...JOINS, 'DELETE', 'DISTINCT', 'OUTER', 'UPDATE']);

/** A statement without line breaks gets some from this many characters on. */
const LONG = 60;

/**
 * @typedef {object} Token
 * @property {'space' | 'comment' | 'string' | 'parameter' | 'number' | 'name' | 'keyword' | 'other'} kind
 * @property {string} text
 */

/**
 * Cuts a statement into tokens that together are the text to show.
 *
 * @param {string} sql
 * @returns {Token[]}
 */
export function tokens(sql) {
  const text = dedent(sql);
  const all = [...text.matchAll(TOKEN)].map(({ 0: found, groups = {} }) => {
    const group = Object.keys(groups).find((name) => name !== 'tag' && groups[name] !== undefined);
    const kind = group === 'name' && KEYWORDS.has(found.toUpperCase()) ? 'keyword' : group;
    return /** @type {Token} */ ({ kind, text: found });
  });
  return text.length >= LONG && !text.includes('\n') ? withLines(all) : all;
}

/**
 * Takes away the indentation that all lines share, and empty lines around.
 *
 * @param {string} sql
 */
function dedent(sql) {
  const lines = sql.replace(/^\s*\n/, '').trimEnd().split('\n');
  // The first line of a Python string often begins beside its quotes and so has no indentation of its own.
  const measured = /^\s/.test(lines[0] ?? '') ? lines : lines.slice(1);
  const margins = measured.filter((line) => line.trim()).map((line) => line.search(/\S/));
  const margin = Math.min(...margins, Infinity);
  return lines.map((line) => line.slice(Math.min(margin, Math.max(line.search(/\S/), 0)))).join('\n');
}

/**
 * Breaks the line before each clause that stands outside all parentheses.
 *
 * @param {Token[]} all
 * @returns {Token[]}
 */
function withLines(all) {
  let depth = 0;
  /** @param {number} index */
  const word = (index) => all[index]?.text.toUpperCase() ?? '';
  return all.map((token, index) => {
    depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
    if (token.kind !== 'space' || depth > 0 || BINDS.has(word(index - 1))) {
      return token;
    }
    // LEFT and RIGHT are functions as well.
    const joins = JOINS.has(word(index + 1)) && ['JOIN', 'OUTER'].includes(word(index + 3));
    return joins || CLAUSES.has(word(index + 1)) ? { kind: 'space', text: '\n' } : token;
  });
}
