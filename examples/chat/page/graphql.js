// GraphQL over one WebSocket (the protocol graphql-transport-ws), which connects again by itself.

const PING_MS = 10_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;
const REFUSED = 4403;

/**
 * What the connection tells of itself.
 *
 * @typedef {object} Hooks
 * @property {() => void} opened  it is there, or there again
 * @property {() => void} lost  it tries again until it is there
 * @property {(reason: string) => void} refused  the server does not let us in; it does not try again
 *
 * @typedef {object} Operation
 * @property {string} query
 * @property {() => object} variables
 * @property {(data: any) => void} next
 * @property {(error: Error) => void} [failed]  of what is asked once: it is not asked again
 */

/**
 * Connects, and stays connected.
 *
 * @param {string} url
 * @param {object} payload  tells the server who we are
 * @param {Hooks} hooks
 */
export function connect(url, payload, hooks) {
  /** @type {Map<string, Operation>} */
  const operations = new Map();
  /** @type {WebSocket} */
  let socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry;
  let open = false;
  let asked = false;
  let failures = 0;
  let count = 0;

  function begin() {
    clearTimeout(retry);
    retry = undefined;
    asked = false;
    socket = new WebSocket(url, 'graphql-transport-ws');
    socket.onopen = () => send({ type: 'connection_init', payload });
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      if (code !== REFUSED) return lost();
      clearInterval(watch);
      hooks.refused(reason);
    };
  }

  /** Gives the connection up and tries again, soon at first and then less often. */
  function lost() {
    socket.onmessage = socket.onclose = null;
    socket.close();
    open = false;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
    retry = setTimeout(begin, pause * (0.5 + Math.random() / 2)); // not all clients at the same moment
    hooks.lost();
    for (const [id, { failed }] of operations) {
      if (failed) operations.delete(id);
      failed?.(new Error('the connection was lost'));
    }
  }

  /** @param {object} message */
  function send(message) {
    socket.send(JSON.stringify(message));
  }

  /** @param {string} id @param {Operation} operation */
  function start(id, { query, variables }) {
    send({ id, type: 'subscribe', payload: { query, variables: variables() } });
  }

  /** @param {{type: string, id: string, payload: any}} message */
  function receive({ type, id, payload }) {
    asked = false;
    const operation = operations.get(id);
    if (type === 'connection_ack') {
      open = true;
      for (const [id, operation] of operations) start(id, operation);
      hooks.opened();
    } else if (type === 'ping') {
      send({ type: 'pong' });
    } else if (type === 'next' && !payload.errors) {
      failures = 0;
      operation?.next(payload.data);
    } else if (operation?.failed) {
      operations.delete(id);
      const [error] = payload?.errors ?? payload ?? [];
      operation.failed(new Error(error?.message));
    } else if (operation) {
      lost(); // a subscription has ended: it begins again with a new connection
    }
  }

  // A network that is gone says nothing, not even that it is gone.
  const watch = setInterval(() => {
    if (retry) return;
    if (asked) return lost();
    asked = true;
    if (open) send({ type: 'ping' });
  }, PING_MS);
  addEventListener('online', () => retry && begin());
  begin();

  return {
    /**
     * Subscribes, again after each reconnect; returns what ends it.
     *
     * @param {string} query
     * @param {() => object} variables  of the moment at which it begins
     * @param {(data: any) => void} next
     */
    listen(query, variables, next) {
      const id = String(++count);
      const operation = { query, variables, next };
      operations.set(id, operation);
      if (open) start(id, operation);
      return () => {
        operations.delete(id);
        if (open) send({ id, type: 'complete' });
      };
    },

    /**
     * Asks a query or a mutation once.
     *
     * @param {string} query
     * @param {object} [variables]
     * @returns {Promise<any>}
     */
    ask(query, variables = {}) {
      return new Promise((next, failed) => {
        if (!open) return failed(new Error('there is no connection'));
        const id = String(++count);
        const operation = { query, variables: () => variables, next, failed };
        operations.set(id, operation);
        start(id, operation);
      });
    },
  };
}
