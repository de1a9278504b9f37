/**
 * What the page was told: by the server (addresses, the first query) and by the link that opened it.
 *
 * @typedef {object} Settings
 * @property {string} endpoint         where operations are posted
 * @property {string} subscriptions    WebSocket address as `ws:` or `wss:`; empty when the server offers none
 * @property {string} [defaultQuery]   text of a new tab; undefined keeps GraphiQL's own
 * @property {string} [query]          operation of the link (`?query=`); opens in a tab of its own
 * @property {string} [variables]      variables of the link (`?variables=`), a JSON object as text
 */

/**
 * Reads the settings of this page.
 *
 * @returns {Settings}
 * @throws {SyntaxError} when the page came from something that did not fill its placeholders
 */
export function readSettings() {
  const served = JSON.parse(document.getElementById('puff-settings')?.textContent ?? '');
  const link = new URLSearchParams(window.location.search);
  return {
    endpoint: new URL(served.endpoint, window.location.href).href,
    subscriptions: served.subscriptions ? webSocketAddress(served.subscriptions) : '',
    defaultQuery: served.defaultQuery || undefined,
    query: link.get('query') ?? undefined,
    variables: link.get('variables') ?? undefined,
  };
}

/**
 * Makes a path or address absolute, with the WebSocket scheme that matches the page's own.
 *
 * @param {string} address
 */
function webSocketAddress(address) {
  const url = new URL(address, window.location.href);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  return url.href;
}
