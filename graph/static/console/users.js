// Users: their roles, whether they may sign in, where they are signed in, and ending that.
import { count, h, moment, table } from '../common/dom.js';
import { choice, confirm, dialog, expected, field, form } from './forms.js';

export const title = 'Users';

const USERS = `query ConsoleUsers($after: String, $email: String) { users(first: 20, after: $after, email: $email) {
  nodes { user { id email displayName role emailConfirmed guest createdAt } disabled
    sessions { id createdAt lastActiveAt expiresAt userAgent ipAddress current } }
  pageInfo { hasNextPage endCursor }
} }`;
const ROLE = `mutation ConsoleSetRole($user: ID!, $role: Role!) { setUserRole(user: $user, role: $role) {
  __typename ... on UserError { code message }
} }`;
const DISABLE = 'mutation ConsoleDisableUser($user: ID!) { disableUser(user: $user) { __typename ... on UserError { code message } } }';
const ENABLE = `mutation ConsoleEnableUser($user: ID!) { enableUser(user: $user) {
  __typename ... on UserAccountChanged { account { disabled } } ... on UserError { code message }
} }`;
const REVOKE = 'mutation ConsoleRevokeSession($user: ID!, $session: ID!) { revokeUserSession(user: $user, session: $session) }';
const REVOKE_ALL = 'mutation ConsoleRevokeSessions($user: ID!) { revokeUserSessions(user: $user) }';

export async function show(page) {
  const list = h('div', {});
  let asked = {}; // what is shown: `after` a cursor, or of an `email`
  page.root.append(form([field('Email', 'email', { type: 'email' })], 'Find', ({ email }) => read(email ? { email } : {})), list);
  await read({});

  async function read(what) {
    asked = what;
    const { users } = await page.ask(USERS, what);
    list.replaceChildren(
      table('Users', ['User', 'Role', ['Made', 'wide'], ['Sessions', 'number wide'], ''], users.nodes.map((account) => {
        const { user, disabled, sessions } = account;
        return [
          [h('div', {}, user.displayName), h('div', { class: 'faint' }, user.guest ? 'guest' : user.email)],
          [user.role, disabled && h('div', { class: 'bad' }, 'disabled')], moment(user.createdAt), count(sessions.length),
          h('div', { class: 'actions' },
            h('button', { type: 'button', disabled: !sessions.length, 'aria-label': `Sessions of ${user.displayName}`, onclick: () => open(account) }, 'Sessions'),
            h('button', { type: 'button', 'aria-label': `Change ${user.displayName}`, onclick: () => change(account) }, 'Change')),
        ];
      }), 'There is no such user.'),
      h('p', { class: 'actions' },
        asked.after && h('button', { type: 'button', onclick: () => page.run(() => read({})) }, 'First page'),
        users.pageInfo.hasNextPage && h('button', { type: 'button', onclick: () => page.run(() => read({ after: users.pageInfo.endCursor })) }, 'Next page')),
    );
  }

  function open({ user, sessions }) {
    dialog(`Sessions of ${user.displayName}`, (close) => [
      table('Sessions', ['Program', ['Address', 'wide'], 'Last used', ''], sessions.map((session) => [
        [session.userAgent ?? 'unknown', session.current && h('div', { class: 'good' }, 'this one')], session.ipAddress, moment(session.lastActiveAt),
        h('button', { type: 'button', class: 'danger', 'aria-label': `End the session of ${moment(session.createdAt)}`, onclick: () => end(
          'End a session', 'That program is signed out everywhere at once.', () => page.ask(REVOKE, { user: user.id, session: session.id }), close) }, 'End'),
      ])),
      h('p', { class: 'actions' },
        h('button', { type: 'button', class: 'main', onclick: close }, 'Close'),
        h('button', { type: 'button', class: 'danger', onclick: () => end(
          'End all sessions', `${user.displayName} is signed out everywhere at once.`, () => page.ask(REVOKE_ALL, { user: user.id }), close) }, 'End all')),
    ]);
  }

  function change({ user, disabled }) {
    const name = user.displayName;
    dialog(`Change ${name}`, (close) => form([
      h('p', { class: 'faint' }, 'Another role ends all sessions of the user, which carry the old one. API keys that the user made go on.'),
      choice('Role', 'role', ['PLAYER', 'SERVICE', 'ADMIN'], user.role),
    ], 'Save', async ({ role }) => {
      if (role !== user.role) await decided(ROLE, { user: user.id, role }, `${name} is ${role} now.`);
      close();
    }, h('button', { type: 'button', onclick: close }, 'Cancel'),
    disabled
      ? h('button', { type: 'button', onclick: () => page.run(async () => { await decided(ENABLE, { user: user.id }, `${name} may sign in again.`); close(); }) }, 'Enable')
      : h('button', { type: 'button', class: 'danger', onclick: () => confirm('Disable a user', `${name} is signed out everywhere at once, and cannot sign in. API keys that they made go on until they are revoked.`, 'Disable', async () => {
        await decided(DISABLE, { user: user.id }, `${name} is disabled.`);
        close();
      }) }, 'Disable')));
  }

  // What was decided about a user is said, and shown.
  async function decided(mutation, variables, text) {
    const { account } = expected(Object.values(await page.ask(mutation, variables))[0]);
    page.say(account?.disabled ? 'There is no password to sign in with: that user cannot be enabled.' : text);
    await read(asked);
  }

  function end(heading, text, act, close) {
    confirm(heading, text, 'End', async () => {
      await act();
      close();
      page.say('Ended.');
      await read(asked);
    });
  }
}
