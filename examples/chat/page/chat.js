// The page: one subscription tells what happens in a room, each kind of event is shown by a function of its name.

import { connect } from './graphql.js';

const ROOM = `subscription ($room: Room!, $connection_id: String!, $since: String) {
  room(room: $room, connection_id: $connection_id, since: $since) {
    __typename
    ... on Message { position from_connection_id name text said_at }
    ... on Missed { count }
    ... on Here { people { connection_id name } }
    ... on Came { person { connection_id name } }
    ... on Left { person { connection_id name } }
  }
}`;
const SAY = `mutation ($room: Room!, $connection_id: String!, $text: String!) {
  say(room: $room, connection_id: $connection_id, text: $text)
}`;
const MOST_SHOWN = 500;

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);
const log = element('log');

/** This tab's memory, also when it is loaded again. Another tab is somebody else. */
const memory = sessionStorage;

/** @type {ReturnType<typeof connect>} */
let chat;
/** @type {string[]} */
let rooms = [];
let room = '';
/** @type {string | undefined} */
let since; // the position of the last message that is shown: after a reconnect the room begins there
let leave = () => {};
/** @type {Map<string, string>} */
let here = new Map(); // names by connection id

function join() {
  element('join').hidden = true;
  element('chat').hidden = false;
  chat = connect(
    new URL('subscriptions', location.href).href.replace('http', 'ws'),
    { name: memory.name },
    {
      opened() {
        if (rooms.length === 0) begin().catch((error) => tell(error.message));
        else tell('Connected again.', 'well');
      },
      lost: () => tell('The connection is lost. Trying again…'),
      refused: ask,
    },
  );
}

/** Asks for a name; says why the last one was refused. */
function ask(reason = '') {
  element('chat').hidden = true;
  element('join').hidden = false;
  element('refusal').textContent = reason;
  element('name').focus();
}

async function begin() {
  const known = await chat.ask('{ rooms new_connection_id }');
  memory.connection_id ??= known.new_connection_id;
  rooms = known.rooms;
  tell('');
  enter();
  element('text').focus();
}

/** Goes to the room that the address names. */
function enter() {
  leave();
  const named = location.hash.slice(1);
  [room = ''] = rooms.includes(named) ? [named] : rooms;
  since = undefined;
  here.clear();
  log.replaceChildren();
  const region = element('scroll');
  region.ariaBusy = 'true'; // what was said before is not read out
  setTimeout(() => { region.ariaBusy = 'false'; }, 1_000);
  element('rooms').replaceChildren(
    ...rooms.map((name) => {
      const link = Object.assign(document.createElement('a'), { href: `#${name}`, textContent: name });
      if (name === room) link.ariaCurrent = 'page';
      return link;
    }),
  );
  leave = chat.listen(
    ROOM,
    () => ({ room, connection_id: memory.connection_id, since }),
    (data) => shown[data.room.__typename]?.(data.room),
  );
}

/** @type {Record<string, (event: any) => void>} */
const shown = {
  Message({ position, from_connection_id, name, text, said_at }) {
    since = position;
    const item = element('message').content.firstElementChild.cloneNode(true);
    const [face, who, what, when] = ['.face', 'bdi', '.text', 'time'].map((part) => item.querySelector(part));
    item.dataset.from = from_connection_id;
    item.classList.toggle('own', from_connection_id === memory.connection_id);
    item.classList.toggle('more', from_connection_id === log.lastElementChild?.dataset.from);
    colour(face, from_connection_id, name);
    who.textContent = name;
    what.textContent = text;
    when.dateTime = said_at;
    when.textContent = new Date(said_at).toLocaleTimeString([], { timeStyle: 'short' });
    when.title = new Date(said_at).toLocaleString();
    append(item);
  },

  Missed({ count }) {
    const what = since ? 'Messages may be missing here' : 'Older messages are no longer kept';
    note(count === null ? what : `${what} (${count})`, 'missed');
  },

  Here({ people }) {
    here = new Map(people.map((/** @type {any} */ { connection_id, name }) => [connection_id, name]));
    showPeople();
  },

  Came({ person: { connection_id, name } }) {
    if (!here.has(connection_id)) note(`${name} came in`);
    here.set(connection_id, name);
    showPeople();
  },

  Left({ person: { connection_id, name } }) {
    if (here.delete(connection_id)) note(`${name} left`);
    showPeople();
  },
};

function showPeople() {
  const people = [...here].sort(([, one], [, other]) => one.localeCompare(other));
  element('count').textContent = people.length;
  element('people').replaceChildren(
    ...people.map(([id, name]) => {
      const item = document.createElement('li');
      colour(item.appendChild(document.createElement('span')), id, name);
      item.appendChild(document.createElement('bdi')).textContent = name;
      if (id === memory.connection_id) item.append('(you)');
      return item;
    }),
  );
}

/** Everybody has a colour and an initial. */
function colour(/** @type {HTMLElement} */ face, /** @type {string} */ id, /** @type {string} */ name) {
  const [initial = ''] = name;
  face.className = 'face';
  face.ariaHidden = 'true';
  face.textContent = initial.toUpperCase();
  face.style.setProperty('--hue', `${(Number.parseInt(id.slice(0, 4), 16) || 0) % 360}`);
}

/** A quiet line between the messages. */
function note(/** @type {string} */ text, kind = '') {
  append(Object.assign(document.createElement('li'), { className: `note ${kind}`, textContent: text }));
}

function append(/** @type {HTMLElement} */ item) {
  log.append(item);
  if (log.childElementCount > MOST_SHOWN) log.firstElementChild.remove();
}

/** Tells how things stand. */
function tell(/** @type {string} */ text, kind = '') {
  Object.assign(element('state'), { className: kind, textContent: text });
}

element('join').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  memory.name = element('name').value;
  join();
});

element('say').addEventListener('submit', async (/** @type {Event} */ event) => {
  event.preventDefault();
  const box = element('text');
  const text = box.value;
  box.value = '';
  element('scroll').scrollTop = 0;
  try {
    await chat.ask(SAY, { room, connection_id: memory.connection_id, text });
    tell('');
  } catch (error) {
    box.value ||= text;
    tell(`Not sent: ${/** @type {Error} */ (error).message}`);
  }
});

addEventListener('hashchange', () => rooms.length && enter());

if (memory.name) join();
else ask();
