/**
 * What the user ran last in each tab, and the trace that came with it: the memory behind the plan panel.
 *
 * @typedef {object} Layer
 * @property {(string | number)[]} path  response names from the root down
 * @property {string} type               the GraphQL type that has the field
 * @property {string} field
 * @property {string | null} resolver    the Python function, as `module.Class.method`
 * @property {'python' | 'sql'} kind     `sql`: the statement stands in the schema, no resolver is called
 * @property {string | null} sql         the statement, if one ran
 * @property {unknown[] | null} parameters  of the statement, cut by the server where they are long
 * @property {number} parents            objects that the layer served; 1 at a root
 * @property {number} rows
 * @property {number} started_us         microseconds, from the beginning of the request
 * @property {number} python_us          from the call of the resolver to its result, its turn in the queue included
 * @property {number} sql_us             from asking for a connection to the last row
 * @property {string | null} error       why the layer failed as a whole
 * @property {Layer[]} children          the layers whose parents this one's objects are
 *
 * @typedef {object} Trace
 * @property {number} version
 * @property {number} total_us
 * @property {number} parse_us           0 if the plan was cached
 * @property {number} plan_us
 * @property {'cached' | 'built'} plan
 * @property {Layer[]} layers
 *
 * @typedef {object} Run
 * @property {string} kind        `query`, `mutation` or `subscription`
 * @property {string} name        of the operation; may be empty
 * @property {boolean} running
 * @property {number} answers     how many came: more than one with subscriptions only
 * @property {Trace} [trace]      of the last answer; until the first one comes, of the run before
 * @property {string} [message]   the first error of the last answer
 * @property {boolean} [refused]  the last answer has no data at all
 *
 * @typedef {object} Answer       of the server, as far as it is looked at
 * @property {unknown} [data]
 * @property {readonly {message: string}[]} [errors]
 * @property {{puff?: Trace, [name: string]: unknown}} [extensions]
 */

/** The traces that this page can read. */
const VERSION = 1;

export class Runs {
  #tab = '';
  /** @type {Map<string, Run>} */
  #last = new Map();
  /** @type {Set<() => void>} */
  #listeners = new Set();

  /**
   * Says which tab is in front: what begins belongs to it. Runs of tabs that are gone are forgotten.
   *
   * @param {{tabs: {id: string}[], activeTabIndex: number}} state
   */
  follow({ tabs, activeTabIndex }) {
    this.#tab = tabs[activeTabIndex]?.id ?? '';
    const open = new Set(tabs.map((tab) => tab.id));
    for (const id of this.#last.keys()) {
      if (!open.has(id)) {
        this.#last.delete(id);
      }
    }
  }

  /**
   * Begins a run in the tab in front.
   *
   * @param {string} kind
   * @param {string} name
   */
  begin(kind, name) {
    const tab = this.#tab;
    /** @type {Run} */
    let run = { kind, name, running: true, answers: 0, trace: this.#last.get(tab)?.trace };
    /** @param {Partial<Run>} changes */
    const become = (changes) => {
      const current = this.#last.get(tab) === run;
      run = { ...run, ...changes };
      if (current) {
        this.#set(tab, run);
      }
    };
    this.#set(tab, run);
    return {
      /**
       * Takes the trace out of an answer; returns what is left to show.
       *
       * @param {Answer} answer
       */
      answered(answer) {
        const [shown, trace] = withoutTrace(answer);
        become({
          answers: run.answers + 1,
          trace,
          message: answer?.errors?.[0]?.message,
          refused: answer?.data === undefined,
        });
        return shown;
      },
      ended: () => become(run.answers ? { running: false } : { running: false, trace: undefined }),
    };
  }

  /**
   * The last run of a tab.
   *
   * @param {string | undefined} tab
   */
  of(tab) {
    return this.#last.get(tab ?? '');
  }

  /**
   * Calls `listener` after each change; returns what ends that.
   *
   * @param {() => void} listener
   */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * @param {string} tab
   * @param {Run} run
   */
  #set(tab, run) {
    this.#last.set(tab, run);
    for (const listener of this.#listeners) {
      listener();
    }
  }
}

/**
 * Splits an answer into what the user asked for and our trace.
 *
 * @param {Answer} answer
 * @returns {[Answer, Trace | undefined]}
 */
function withoutTrace(answer) {
  const { puff, ...others } = answer?.extensions ?? {};
  if (puff?.version !== VERSION) {
    return [answer, undefined];
  }
  const { extensions: _, ...shown } = answer;
  return [Object.keys(others).length ? { ...shown, extensions: others } : shown, puff];
}
