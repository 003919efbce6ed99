// Who is signed in, and the pages of those who are not an ADMIN: signing in, a password that is due, a refusal. The
// session is the cookie that the login sets: this page keeps no token.
import { h } from '../common/dom.js';
import { ask } from '../common/link.js';
import { expected, field, form } from './forms.js';

const VIEWER = 'query ConsoleViewer { viewer { user { displayName email role } } }';
const LOGIN = `mutation ConsoleSignIn($input: LoginInput!) { login(input: $input) {
  __typename ... on AuthPayload { passwordDue } ... on UserError { code message }
} }`;
const CHANGE = `mutation ConsolePassword($input: ChangePasswordInput!) { changePassword(input: $input) {
  __typename ... on PasswordChanged { revokedSessions } ... on InvalidInput { field } ... on UserError { code message }
} }`;

export async function viewer() {
  return (await ask(VIEWER)).viewer?.user ?? null;
}

export async function signOut() {
  await ask('mutation ConsoleSignOut { logout }');
}

// `done(passwordDue, email)` is called once somebody has signed in; `why` says why it is needed again.
export function signIn(done, why) {
  return card('Console', h('p', {}, why || 'Sign in as an ADMIN.'), form([
    field('Email', 'email', { type: 'email', autocomplete: 'username', required: true }),
    field('Password', 'password', { type: 'password', autocomplete: 'current-password', required: true }),
  ], 'Sign in', async ({ email, password }) => {
    const { passwordDue } = expected((await ask(LOGIN, { input: { email, password } })).login);
    await done(passwordDue, email);
  }));
}

// Whose password it is stands in a field that nobody sees, for a browser that keeps passwords.
export function changePassword(email, done) {
  return card('Change the password', h('p', {}, 'Somebody else chose your password: replace it before you go on.'), form([
    h('input', { type: 'text', autocomplete: 'username', value: email ?? '', hidden: true, readOnly: true }),
    field('Current password', 'currentPassword', { type: 'password', autocomplete: 'current-password', required: true }),
    field('New password', 'newPassword', { type: 'password', autocomplete: 'new-password', required: true, minLength: 8 }),
  ], 'Change', async (input) => {
    expected((await ask(CHANGE, { input })).changePassword);
    await done();
  }));
}

export function refused(user, leave) {
  return card('Not for you',
    h('p', {}, `You are signed in as ${user.displayName} (${user.role}). The console is for users with the role ADMIN.`),
    h('button', { type: 'button', class: 'main', onclick: leave }, 'Sign out'));
}

function card(title, ...children) {
  return h('main', {}, h('section', { class: 'card narrow' }, h('h1', { tabIndex: -1 }, title), children));
}
