/** The playground: GraphiQL, wired to the server that served this page. */

import './workers.js';

import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { readSettings } from './settings.js';

function Playground({ settings }) {
  const fetcher = createGraphiQLFetcher({
    url: settings.endpoint,
    subscriptionUrl: settings.subscriptions || undefined,
    // One JSON document per answer: the server sends no multipart parts, and one code path fewer reads it.
    enableIncrementalDelivery: false,
  });
  return (
    <GraphiQL
      fetcher={fetcher}
      defaultQuery={settings.defaultQuery}
      initialQuery={settings.query}
      initialVariables={settings.variables}
      defaultEditorToolsVisibility={settings.variables ? 'variables' : undefined}
    >
      <GraphiQL.Logo>Puff playground</GraphiQL.Logo>
    </GraphiQL>
  );
}

const place = document.getElementById('playground');
try {
  createRoot(place).render(<Playground settings={readSettings()} />);
} catch (error) {
  place.innerHTML = '<p class="notice"></p>';
  place.firstChild.textContent = `The playground cannot start: ${error.message}`;
}
