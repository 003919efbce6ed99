// A subscription shows a log of its events, the newest first, and not only the last one. `summary`, where it is given,
// is called with each event and makes what stands above the log.
const KEPT = 100;

export function logged(events, summary = () => ({})) {
  const source = events[Symbol.asyncIterator]();
  const log = [];
  let received = 0;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const { done, value } = await source.next();
      if (done) return { done, value: undefined };
      received += 1;
      log.unshift({ at: new Date().toISOString(), ...value });
      log.length = Math.min(log.length, KEPT);
      return { done: false, value: { received, ...summary(value), events: [...log] } };
    },
    // At once, and not after the next event: the stop button ends the subscription.
    return: (value) => source.return(value),
    throw: (error) => source.throw(error),
  };
}
