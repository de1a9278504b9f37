/**
 * How operations reach the server and answers come back: over HTTP, and over a WebSocket for subscriptions.
 *
 * In place of GraphiQL's own fetcher: this one asks for the trace and keeps it out of the answer, can be stopped, shows
 * numbers as the server wrote them, and says in words what went wrong on the way.
 */

import { getOperationAST, parse as parseDocument } from 'graphql';
import { createClient } from 'graphql-ws';

/** Asks the server for `extensions.puff`. A WebSocket has no headers for each operation; there, a part of the operation asks. */
const TRACE_HEADER = { 'Puff-Trace': '1' };
const TRACE_EXTENSION = { puff: { trace: true } };

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9';

/** Of an answer that is not JSON, so many characters are shown. */
const GLIMPSE = 500;

/**
 * What went wrong on the way, in the form of an answer: the result pane shows it like any other.
 *
 * @typedef {{errors: {message: string, body?: string}[]}} Failure
 *
 * @typedef {import('@graphiql/toolkit').FetcherParams} Params
 * @typedef {Record<string, unknown>} Headers  of a request, or the init payload of a WebSocket
 * @typedef {import('./runs.js').Answer} Answer
 *
 * @typedef {object} Sink
 * @property {(answer: Answer) => void} next
 * @property {() => void} complete
 */

/**
 * Makes the function that GraphiQL calls to run an operation.
 *
 * @param {import('./settings.js').Settings} settings
 * @param {import('./runs.js').Runs} runs  told of what the user runs; not of GraphiQL's question for the schema
 * @returns {import('@graphiql/toolkit').Fetcher}
 */
export function createFetcher(settings, runs) {
  return (asked, { headers, documentAST } = {}) => {
    if (!documentAST && asked.operationName === 'IntrospectionQuery') {
      // GraphiQL asks for errors as graphql-js makes them, here and below; those of servers are plain.
      return /** @type {Promise<any>} */ (ask(settings.endpoint, asked, headers));
    }
    const { params, operation } = chosen(asked);
    const kind = operation?.operation ?? 'query';
    const name = operation?.name?.value ?? '';
    return /** @type {any} */ ({
      /** @param {Sink} sink */
      subscribe(sink) {
        const run = runs.begin(kind, name);
        /** @type {Sink} */
        const seen = {
          next: (answer) => sink.next(run.answered(answer)),
          complete() {
            run.ended();
            sink.complete();
          },
        };
        const stop =
          kind === 'subscription' ? listen(settings, params, headers, seen) : askOnce(settings, params, headers, seen);
        return {
          unsubscribe() {
            run.ended();
            stop();
          },
        };
      },
    });
  };
}

/**
 * The operation that is to run, and the parameters with its name.
 *
 * GraphiQL reads a document a moment after it has changed. Of what is run before that it has the name, and the kind, of
 * the operation that was there until then. So the document is read here; an operation that is alone is the one meant.
 *
 * @param {Params} params
 */
function chosen(params) {
  let document;
  try {
    document = parseDocument(params.query);
  } catch {
    // The server says what is wrong.
    return { params, operation: undefined };
  }
  const named = getOperationAST(document, params.operationName);
  const operation = named ?? getOperationAST(document);
  return { params: named ? params : { ...params, operationName: operation?.name?.value }, operation };
}

/**
 * Runs an operation by HTTP; returns what stops it. The server ends the work of a client that is gone.
 *
 * @param {import('./settings.js').Settings} settings
 * @param {Params} params
 * @param {Headers | undefined} headers
 * @param {Sink} sink
 */
function askOnce(settings, params, headers, sink) {
  const abort = new AbortController();
  ask(settings.endpoint, params, { ...TRACE_HEADER, ...headers }, abort.signal).then((answer) => {
    if (!abort.signal.aborted) {
      sink.next(answer);
      sink.complete();
    }
  });
  return () => abort.abort();
}

/**
 * Posts an operation. Never rejects: what went wrong is the answer.
 *
 * @param {string} url
 * @param {Params} params
 * @param {Headers | undefined} [headers]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
async function ask(url, params, headers, signal) {
  let response;
  let text;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { Accept: ACCEPT, 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(params),
      signal,
    });
    text = await response.text();
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    return failure(`No answer from ${url}: ${reason}. Is the server running?`);
  }
  try {
    return parse(text);
  } catch {
    const type = response.headers.get('Content-Type')?.split(';')[0] || 'no content type';
    const status = `${response.status} ${response.statusText}`.trim();
    return failure(`The server answered ${status} with ${type}, not with JSON.`, text.slice(0, GLIMPSE));
  }
}

/**
 * Subscribes over a WebSocket of its own; the headers are its init payload. Returns what ends the subscription.
 *
 * @param {import('./settings.js').Settings} settings
 * @param {Params} params
 * @param {Headers | undefined} headers
 * @param {Sink} sink
 */
function listen(settings, params, headers, sink) {
  if (!settings.subscriptions) {
    sink.next(failure('This page was given no address for subscriptions.'));
    sink.complete();
    return () => {};
  }
  const client = createClient({
    url: settings.subscriptions,
    connectionParams: headers,
    jsonMessageReviver: exactly,
    // A new connection would begin the stream anew and pass over what came between: the user decides.
    retryAttempts: 0,
  });
  const stop = client.subscribe({ ...params, extensions: TRACE_EXTENSION }, {
    next: sink.next,
    complete: sink.complete,
    error(error) {
      sink.next(Array.isArray(error) ? { errors: error } : failure(whyClosed(error, settings.subscriptions)));
      sink.complete();
    },
  });
  return () => {
    stop();
    client.dispose();
  };
}

/**
 * @param {unknown} error
 * @param {string} url
 */
function whyClosed(error, url) {
  // 1006 is the browser's own word for a connection that broke; of one that never came about it says nothing at all.
  if (error instanceof CloseEvent && error.code !== 1006) {
    return `The server closed the connection: ${error.code} ${error.reason}`.trim();
  }
  const reason = error instanceof Error && error.message ? `: ${error.message}` : '';
  return `No connection to ${url}${reason}. Is the server running?`;
}

/**
 * @param {string} message
 * @param {string} [body]
 * @returns {Failure}
 */
function failure(message, body) {
  return { errors: [body ? { message, body } : { message }] };
}

/** @param {string} text */
function parse(text) {
  return JSON.parse(text, exactly);
}

/**
 * Keeps a number that JavaScript cannot hold as the server wrote it: long decimals, integers beyond 2 to the 53rd.
 * Browsers without `JSON.rawJSON` round them, as they always did.
 *
 * @param {string} _key
 * @param {unknown} value
 * @param {{source?: string}} [context]
 */
function exactly(_key, value, context) {
  const source = typeof value === 'number' ? context?.source : undefined;
  return source === undefined || source === String(value) || !JSON.rawJSON ? value : JSON.rawJSON(source);
}
