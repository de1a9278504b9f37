/** The playground: GraphiQL, wired to the server that served this page, with a panel for what the server did. */

import './workers.js';

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { FirstQuery, GREETING } from './first-query.js';
import { PlanLine, planPlugin } from './plan.jsx';
import { Runs } from './runs.js';
import { readSettings } from './settings.js';
import { createFetcher } from './transport.js';

/** @param {HTMLElement} place */
function start(place) {
  const settings = readSettings();
  const runs = new Runs();
  // Made once: GraphiQL begins anew with each new fetcher or list of plugins.
  const fetcher = createFetcher(settings, runs);
  const plugins = [planPlugin(runs), HISTORY_PLUGIN];
  createRoot(place).render(
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      onTabChange={(tabs) => runs.follow(tabs)}
      defaultQuery={settings.defaultQuery ?? GREETING}
      initialQuery={settings.query}
      initialVariables={settings.variables}
      defaultEditorToolsVisibility={settings.variables ? 'variables' : undefined}
    >
      <GraphiQL.Logo>Puff playground</GraphiQL.Logo>
      <GraphiQL.Footer>
        <PlanLine runs={runs} />
      </GraphiQL.Footer>
      <FirstQuery />
    </GraphiQL>,
  );
}

const place = document.getElementById('playground') ?? document.body;
try {
  start(place);
} catch (error) {
  const notice = document.createElement('p');
  notice.className = 'notice';
  notice.textContent = `The playground cannot start: ${error instanceof Error ? error.message : error}`;
  place.replaceChildren(notice);
}
