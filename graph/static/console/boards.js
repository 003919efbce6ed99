// Leaderboards: their live top, and the neighbourhood of a player.
import { count, h, moment, table, update } from '../common/dom.js';
import { choice, field, form } from './forms.js';

export const title = 'Boards';

const BOARDS = 'query ConsoleBoards { leaderboards { slug name size season { number endsAt } } }';
const TOP = `subscription ConsoleTop($board: String!) { leaderboardChanged(board: $board, first: 20) {
  entries { rank score achievedAt player { id displayName } }
} }`;
const AROUND = `query ConsoleAround($board: String!, $player: ID!) @live { leaderboard(slug: $board) {
  around(player: $player, range: 5) {
    above { rank score achievedAt player { id displayName } }
    entry { rank score achievedAt player { id displayName } }
    below { rank score achievedAt player { id displayName } }
  }
} }`;

export async function show(page) {
  const { leaderboards: boards } = await page.ask(BOARDS);
  if (!boards.length) {
    page.root.append(h('p', { class: 'empty' }, 'There are no boards.'));
    return;
  }
  const board = boards.find(({ slug }) => slug === page.rest[0]) ?? boards[0];
  const chosen = choice('Board', 'board', boards.map(({ slug, name }) => [slug, name]), board.slug);
  chosen.querySelector('select').addEventListener('change', ({ target }) => { location.hash = `boards/${target.value}`; });
  const facts = [`Season ${board.season.number}`, `${count(board.size)} players`, board.season.endsAt && `until ${moment(board.season.endsAt)}`];
  let top = h('p', { class: 'empty' }, 'Waiting for the top …');
  let around = h('p', { class: 'empty' }, 'Choose a player of the top, or name one by its ID.');
  let stop = () => {};
  page.root.append(
    h('div', { class: 'row' }, chosen), h('p', { class: 'faint' }, facts.filter(Boolean).join(' · ')),
    h('h2', {}, 'Top'), top,
    h('h2', {}, 'Neighbourhood'), form([field('Player (ID)', 'player', { required: true })], 'Show', ({ player }) => look(player)), around,
  );
  page.follow(TOP, { board: board.slug }, ({ leaderboardChanged: { entries } }) => {
    top = update(top, table('Top', [['Rank', 'number'], 'Player', ['Score', 'number'], ['Reached', 'wide'], ''], entries.map((entry) => [
      ...shown(entry),
      h('button', { type: 'button', 'aria-label': `Neighbours of ${entry.player.displayName}, rank ${entry.rank}`, onclick: () => look(entry.player.id) }, 'Neighbours'),
    ]), 'Nobody has a score.'));
  });

  // One neighbourhood is followed at a time.
  function look(player) {
    stop();
    stop = page.follow(AROUND, { board: board.slug, player }, ({ leaderboard }) => {
      const found = leaderboard?.around;
      const entries = found ? [...found.above, found.entry, ...found.below] : [];
      around = update(around, table('Neighbourhood', [['Rank', 'number'], 'Player', ['Score', 'number'], ['Reached', 'wide']], entries.map((entry) => shown(entry, entry === found.entry)),
        'This player has no score here.'));
    });
  }

  function shown({ rank, score, achievedAt, player }, marked = false) {
    return [count(rank), h(marked ? 'strong' : 'span', {}, player.displayName), count(score), moment(achievedAt)];
  }
}
