/** The plan panel: what the server did for the last run of this tab, layer by layer. */

import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useState, useSyncExternalStore } from 'react';

import { tokens } from './sql.js';

const TITLE = 'Plan';

/** Up to so many layers show their statements at once; with more, they are opened one by one. */
const FEW = 4;

/** Of a statement or a parameter, so many characters are shown. */
const LONGEST_SQL = 20_000;
const LONGEST_PARAMETER = 400;

/**
 * @typedef {import('./runs.js').Runs} Runs
 * @typedef {import('./runs.js').Run} Run
 * @typedef {import('./runs.js').Trace} Trace
 * @typedef {import('./runs.js').Layer} Layer
 * @typedef {Layer & {depth: number, key: string, label: string}} Row  a layer in its place in the tree
 */

/**
 * The panel as a plugin of GraphiQL.
 *
 * @param {Runs} runs
 */
export function planPlugin(runs) {
  return { title: TITLE, icon: PlanIcon, content: () => <Panel run={useLastRun(runs)} /> };
}

/**
 * One line below the answer that sums the plan up and opens the panel.
 *
 * @param {{runs: Runs}} props
 */
export function PlanLine({ runs }) {
  const run = useLastRun(runs);
  const { setVisiblePlugin } = useGraphiQLActions();
  if (!run?.trace) {
    return null;
  }
  const layers = inReadingOrder(run.trace.layers);
  const statements = layers.filter((layer) => layer.sql).length;
  return (
    <button type="button" className="graphiql-un-styled puff-plan-line" onClick={() => setVisiblePlugin(TITLE)}>
      <PlanIcon />
      {count(layers.length, 'layer')}, {count(statements, 'statement')}, {time(run.trace.total_us)}
    </button>
  );
}

/**
 * The last run of the tab in front.
 *
 * @param {Runs} runs
 */
function useLastRun(runs) {
  const tab = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.id);
  return useSyncExternalStore(
    (listener) => runs.listen(listener),
    () => runs.of(tab),
  );
}

/** Two layers below a third. */
function PlanIcon() {
  return (
    <svg viewBox="0 0 14 14" height="1em" fill="none" stroke="currentColor" strokeWidth="1.2" aria-hidden="true">
      <rect x="0.9" y="0.9" width="7" height="3" rx="0.8" />
      <rect x="5.1" y="5.5" width="8" height="3" rx="0.8" />
      <rect x="5.1" y="10.1" width="8" height="3" rx="0.8" />
      <path d="M2.6 4v7.6h2.5M2.6 7h2.5" />
    </svg>
  );
}

/** @param {{run: Run | undefined}} props */
function Panel({ run }) {
  return (
    <section className="puff-plan" aria-label="Plan" aria-busy={run?.running ?? false}>
      <div className="graphiql-doc-explorer-title">Plan</div>
      {run && (
        <p className="puff-plan-of">
          {run.kind} {run.name && <b>{run.name}</b>}
          {run.kind === 'subscription' && `: ${eventsSoFar(run)}`}
        </p>
      )}
      {run?.trace ? <Plan trace={run.trace} /> : <Nothing run={run} />}
    </section>
  );
}

/** @param {Run} run */
function eventsSoFar({ answers, running, trace }) {
  const events = count(answers, 'event');
  return `${events}${running ? ' so far' : ''}${trace && answers > 1 ? ', this is the plan of the last' : ''}`;
}

/**
 * What stands where there is no plan to show.
 *
 * @param {{run: Run | undefined}} props
 */
function Nothing({ run }) {
  if (!run) {
    return (
      <p>
        Run an operation, and this shows what the server did for it: its layers as a tree, each with its resolver, its SQL
        with parameters and rows, and when it ran.
      </p>
    );
  }
  if (run.answers === 0) {
    return <p>{run.running ? 'Waiting for the answer…' : 'It ended without an answer.'}</p>;
  }
  if (run.refused) {
    return (
      <>
        <p>No plan came with this answer.</p>
        {run.message && <p className="puff-plan-error">{run.message}</p>}
      </>
    );
  }
  if (run.kind === 'subscription') {
    return <p>The events of a subscription come without a plan.</p>;
  }
  return (
    <>
      <p>The server sent no plan with this answer.</p>
      <p>
        A plan shows SQL and parameters, so Puff gives it to browsers on its own machine only, not through a proxy, and not
        in production (<code>PUFF_ENV=production</code>). To develop from another machine, put{' '}
        <code>graphql_trace = "always"</code> into <code>puff.toml</code>, or set <code>PUFF_GRAPHQL_TRACE=always</code>.
      </p>
    </>
  );
}

/** @param {{trace: Trace}} props */
function Plan({ trace }) {
  const layers = inReadingOrder(trace.layers);
  // Which layers are open beside the rule for few and many; kept while the panel is, over runs.
  const [choices, setChoices] = useState(/** @type {Record<string, boolean>} */ ({}));
  /** @param {Row} layer */
  const isOpen = (layer) => choices[layer.key] ?? layers.length <= FEW;
  const allOpen = layers.every(isOpen);
  /**
   * @param {Row[]} chosen
   * @param {boolean} open
   */
  const choose = (chosen, open) =>
    setChoices((before) => ({ ...before, ...Object.fromEntries(chosen.map(({ key }) => [key, open])) }));
  return (
    <>
      <Totals trace={trace} layers={layers} />
      {layers.length > 0 && (
        <div className="puff-plan-bar">
          <span className="puff-plan-legend">
            <i className="python" /> Python <i className="sql" /> SQL
          </span>
          <button type="button" className="graphiql-un-styled" onClick={() => choose(layers, !allOpen)}>
            {allOpen ? 'Close all' : 'Open all'}
          </button>
        </div>
      )}
      <ol className="puff-plan-layers">
        {layers.map((layer) => (
          <LayerItem
            key={layer.key}
            layer={layer}
            total={trace.total_us}
            open={isOpen(layer)}
            onToggle={(open) => open !== isOpen(layer) && choose([layer], open)}
          />
        ))}
      </ol>
      {layers.length === 0 && <p>No field of this operation has a resolver that ran.</p>}
    </>
  );
}

/** @param {{trace: Trace, layers: Row[]}} props */
function Totals({ trace, layers }) {
  /** @param {'python_us' | 'sql_us' | 'rows'} name */
  const sum = (name) => layers.reduce((all, layer) => all + layer[name], 0);
  /** @type {[name: string, value: string | number, title?: string][]} */
  const facts = [
    ['Total', time(trace.total_us), 'From the first byte of the operation to the last of the answer'],
    ['Python', time(sum('python_us')), 'All layers together, turns in the queue included; layers may run side by side'],
    ['SQL', time(sum('sql_us')), 'All layers together, waiting for connections included; layers may run side by side'],
    ['Statements', layers.filter((layer) => layer.sql).length],
    ['Rows', number(sum('rows'))],
    trace.plan === 'cached'
      ? ['Plan', 'cached', 'This document was parsed, checked and planned before']
      : ['Plan built in', time(trace.parse_us + trace.plan_us), 'Parsed, checked and planned for this request; the next finds it ready'],
  ];
  return (
    <dl className="puff-plan-totals">
      {facts.map(([name, value, title]) => (
        <div key={name} title={title}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** @param {{layer: Row, total: number, open: boolean, onToggle: (open: boolean) => void}} props */
function LayerItem({ layer, total, open, onToggle }) {
  return (
    <li style={/** @type {import('react').CSSProperties} */ ({ '--depth': layer.depth })} className={layer.error ? 'failed' : undefined}>
      <details open={open} onToggle={(event) => onToggle(event.currentTarget.open)}>
        <summary>
          <span className="name">
            {layer.label}
            <span className="type">{layer.depth > 0 && layer.type}</span>
          </span>
          <span className="rows">{layer.error ? 'failed' : count(layer.rows, layer.sql ? 'row' : 'value')}</span>
          <span className="time">{time(layer.python_us + layer.sql_us)}</span>
          <Bars layer={layer} total={total} />
        </summary>
        <Details layer={layer} />
      </details>
    </li>
  );
}

/**
 * When a layer ran, against the whole: first its resolver, then its statement.
 *
 * @param {{layer: Row, total: number}} props
 */
function Bars({ layer, total }) {
  /** @param {number} us */
  const percent = (us) => `${Math.min(100, (100 * us) / Math.max(total, 1))}%`;
  /** @type {[kind: string, start: number, us: number][]} */
  const bars = [
    ['python', layer.started_us, layer.python_us],
    ['sql', layer.started_us + layer.python_us, layer.sql_us],
  ];
  return (
    <span className="track" title={`Began at ${time(layer.started_us)} of ${time(total)}`}>
      {bars.map(([kind, start, us]) => us > 0 && <i key={kind} className={kind} style={{ left: percent(start), width: percent(us) }} />)}
    </span>
  );
}

/** @param {{layer: Row}} props */
function Details({ layer }) {
  const { kind, resolver, parents, rows, started_us, python_us, sql_us, sql, parameters, error } = layer;
  const facts = [
    layer.depth > 0 && `${count(parents, 'parent')} → ${count(rows, sql ? 'row' : 'value')}`,
    `began at ${time(started_us)}`,
    kind !== 'sql' && `Python ${time(python_us)}`,
    sql && `SQL ${time(sql_us)}`,
  ];
  return (
    <div className="puff-plan-details">
      <p>
        <code>{breakable(resolver ?? `${layer.type}.${layer.field}`)}</code>
        {kind === 'sql' && <span className="tag">never enters Python</span>}
      </p>
      <p className="facts">{facts.filter(Boolean).join(' · ')}</p>
      {error && <p className="puff-plan-error">{error}</p>}
      {sql && <Sql text={sql} />}
      {parameters && parameters.length > 0 && (
        <dl className="puff-plan-parameters" aria-label="Parameters">
          {parameters.map((value, index) => (
            <div key={index}>
              <dt>${index + 1}</dt>
              <dd>{value === null ? <i>NULL</i> : shortened(asText(value), LONGEST_PARAMETER)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

/** @param {{text: string}} props */
function Sql({ text }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div className="puff-plan-sql">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: keys scroll a long statement */}
      {/* biome-ignore lint/a11y/useSemanticElements: a section would not keep the lines */}
      <pre role="region" tabIndex={0} aria-label="SQL">
        {tokens(shortened(text, LONGEST_SQL)).map(({ kind, text: word }, index) =>
          ['space', 'name', 'other'].includes(kind) ? word : <span key={index} className={kind}>{word}</span>,
        )}
      </pre>
      {/* Browsers offer the clipboard to pages of this machine and of HTTPS only. */}
      {navigator.clipboard && (
        <button type="button" className="graphiql-un-styled" onClick={copy}>
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </div>
  );
}

/**
 * All layers in the order in which one reads a tree, each with its depth, and a label that goes on where the one above
 * ends.
 *
 * @param {Layer[]} layers
 * @returns {Row[]}
 */
function inReadingOrder(layers, depth = 0, above = 0) {
  return layers.flatMap((layer) => [
    { ...layer, depth, key: `${layer.path.join('.')} ${layer.type}`, label: layer.path.slice(above).join('.') },
    ...inReadingOrder(layer.children, depth + 1, layer.path.length),
  ]);
}

/**
 * A parameter as PostgreSQL gets it: as text, for most types.
 *
 * @param {unknown} value
 */
function asText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * A dotted name that may go on in the next line after each dot.
 *
 * @param {string} name
 */
function breakable(name) {
  return name.split(/(?<=\.)/).map((part, index) => [index > 0 && <wbr key={index} />, part]);
}

/**
 * A number of microseconds in the unit that reads best; a line does not break before it.
 *
 * @param {number} us
 */
function time(us) {
  if (us < 1000) {
    return `${Math.round(us)}\u00a0µs`;
  }
  const [value, unit] = /** @type {[number, string]} */ (us < 1e6 ? [us / 1e3, 'ms'] : [us / 1e6, 's']);
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)}\u00a0${unit}`;
}

/** @param {number} value */
function number(value) {
  return value.toLocaleString('en');
}

/**
 * @param {number} value
 * @param {string} noun
 */
function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/**
 * @param {string} text
 * @param {number} most
 */
function shortened(text, most) {
  return text.length <= most ? text : `${text.slice(0, most)}… (${number(text.length - most)} characters more)`;
}
