// The page of one leaderboard, whose slug is the last part of the address: its best players as they change, and the place
// of whoever is signed in, with the players around. The session is a cookie that no script can read.
import { h, moment, table } from '../common/dom.js';
import { ask } from '../common/link.js';
import { live } from './live.js';

const TOP = `query BoardTop($slug: String!) @live(throttle: 250) {
  leaderboard(slug: $slug) {
    name size season { number endsAt } top(first: 20) { nodes { rank score player { id displayName } } }
  }
}`;
const PLACE = `query BoardPlace($slug: String!) @live(throttle: 1000) {
  leaderboard(slug: $slug) {
    around(range: 2) {
      entry { rank score player { id displayName } }
      above { rank score player { id displayName } }
      below { rank score player { id displayName } }
    }
  }
}`;
const VIEWER = 'query BoardViewer { viewer { session { id } } }';

const slug = decodeURIComponent(location.pathname.replace(/\/$/, '').split('/').pop());
const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 3 });
const [name, state, about, top, place] = ['name', 'state', 'about', 'top', 'place'].map((id) => document.getElementById(id));
const nearby = h('div', {});
let me; // the id of the player who looks
let places = 0; // how many answers came about the place

live(TOP, { slug }, showTop, (problem) => {
  state.textContent = problem || 'live';
  state.classList.toggle('live', !problem);
  document.body.classList.toggle('stale', Boolean(problem)); // what is shown may be old
});
if (await signedIn()) live(PLACE, { slug }, showPlace, () => {});

async function signedIn() {
  try {
    return Boolean((await ask(VIEWER)).viewer);
  } catch {
    return false; // what is wrong is said of the board
  }
}

function showTop({ leaderboard }) {
  if (!leaderboard) {
    name.textContent = 'This leaderboard was deleted';
    about.replaceChildren();
    top.replaceChildren();
    return;
  }
  const { size, season } = leaderboard;
  document.title = name.textContent = leaderboard.name;
  const players = `${numbers.format(size)} ${size === 1 ? 'player' : 'players'}`;
  about.textContent = season.endsAt ? `${players}, season ${season.number}, until ${moment(season.endsAt)}` : players;
  fill(top, 'The best players', leaderboard.top.nodes, 'Nobody has a score yet.');
}

async function showPlace({ leaderboard }) {
  const around = leaderboard?.around;
  const number = (places += 1);
  if (!around) {
    const playing = leaderboard && (await signedIn()); // the session may have ended
    const text = playing ? [h('h2', {}, 'Your place'), h('p', {}, 'You have no score here yet.')] : [];
    if (number === places) place.replaceChildren(...text);
    return;
  }
  const { rank, player } = around.entry;
  if (me !== player.id) {
    me = player.id;
    top.querySelectorAll('tbody tr').forEach(mark);
  }
  fill(nearby, 'Players around you', [...around.above, around.entry, ...around.below]);
  place.replaceChildren(h('h2', {}, `Your place: ${numbers.format(rank)}`), nearby);
}

// A table of entries; the row of whoever looks is marked, and one that differs from that of its player before lights up.
function fill(parent, label, entries, empty) {
  const before = new Map([...parent.querySelectorAll('tbody tr')].map((row) => [row.dataset.player, row.textContent]));
  const cells = entries.map(({ rank, score, player }) => [numbers.format(rank), player.displayName, numbers.format(score)]);
  parent.replaceChildren(table(label, [['Rank', 'number rank'], 'Player', ['Score', 'number']], cells, empty));
  parent.querySelectorAll('tbody tr').forEach((row, n) => {
    const { id } = entries[n].player;
    row.dataset.player = id;
    mark(row);
    if (before.size && before.get(id) !== row.textContent) row.classList.add('changed');
  });
}

function mark(row) {
  if (row.dataset.player !== me) return;
  row.classList.add('me');
  row.setAttribute('aria-current', 'true');
}
