// What the user says of images on its way to the program: kept in the browser until the program has it, counted once.
(() => {
  'use strict';
  const optim = window.optimTab;

  const PREFIX = 'optim_said_';
  const memory = new Map(); // where the browser's store is full or forbidden

  // One entry per click, each under a key of its own: two browser tabs never write over each other's, and whichever
  // of them sends an entry, even both, it counts once, for the program knows its request id. Keys sort by time.
  const keys = () => {
    const found = [...memory.keys()];
    try {
      for (let i = 0; i < localStorage.length; i += 1) if (localStorage.key(i).startsWith(PREFIX)) found.push(localStorage.key(i));
    } catch {
      // What is in memory is all there is.
    }
    return found.sort();
  };
  const read = (key) => {
    if (memory.has(key)) return memory.get(key);
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  };
  const write = (key, item) => {
    try {
      localStorage.setItem(key, JSON.stringify(item));
    } catch {
      memory.set(key, item);
    }
  };
  const drop = (key) => {
    memory.delete(key);
    try {
      localStorage.removeItem(key);
    } catch {
      // It was never there.
    }
  };

  // An item: {folder, request} and {trial, image, name, value} (a rating), {trial, image, mark, on}, {answer} (to the
  // question `id`) or {undo} (the request of an answer).
  const about = (item) => (item.mark ? item.mark : `rating ${item.name}`);
  const routeOf = (item) => (item.answer || item.undo ? 'compare' : item.mark ? 'mark' : 'score');
  const bodyOf = (item) => (item.answer ? { ...item.answer, folder: item.folder, request: item.request } : item);
  const of = (item, folder, trial, image) => item.folder === folder && item.trial === trial && item.image === image;

  optim.opinions = (onChange, onError) => {
    let known = null; // the entries, read once and after every change
    let settled = []; // taken by the program, but not yet in a snapshot that was asked for afterwards
    let open = ''; // the run that takes opinions now; those about others wait until they are resumed
    let sending = false;
    let counter = 0;
    const entries = () => {
      if (known === null) known = keys().map((key) => [key, read(key)]).filter(([, item]) => item && item.request);
      return known;
    };
    const changed = () => {
      known = null;
      onChange();
    };
    const send = async () => {
      if (sending || !open) return;
      sending = true;
      try {
        for (;;) {
          const next = entries().find(([, item]) => item.folder === open);
          if (!next) return;
          const [key, item] = next;
          try {
            await optim.post(routeOf(item), bodyOf(item));
            settled.push({ ...item, at: performance.now() });
          } catch (error) {
            // Another run goes on, or another program has this one: what was said waits for its turn. All else that is refused is told.
            const closed = error.status === 409 && /going on|another process/.test(error.message);
            if (error.offline || error.status >= 500 || error.status === 401 || closed) {
              open = ''; // until a snapshot says again which run is open
              return;
            }
            onError(error);
          }
          drop(key);
          changed();
        }
      } finally {
        sending = false;
      }
    };
    window.addEventListener('storage', (event) => {
      if (event.key === null || event.key.startsWith(PREFIX)) changed();
    });
    const put = (item) => {
      counter += 1;
      const request = optim.requestId();
      const key = `${PREFIX}${String(Date.now()).padStart(15, '0')}-${String(counter).padStart(6, '0')}-${request}`;
      write(key, { ...item, request });
      known = null;
      // Not before the caller is through: what it shows next is its own affair.
      queueMicrotask(onChange);
      send();
      return request;
    };
    const last = (folder, trial, image, topic) =>
      [...settled, ...entries().map(([, item]) => item)].filter((item) => of(item, folder, trial, image) && about(item) === topic).pop();
    return {
      rate: (folder, trial, image, name, value) => put({ folder, trial, image, name, value }),
      mark: (folder, trial, image, mark, on) => put({ folder, trial, image, mark, on }),
      // The newest that is still under way, or undefined.
      rating: (folder, trial, image, name) => {
        const item = last(folder, trial, image, `rating ${name}`);
        return item && item.value;
      },
      marked: (folder, trial, image, mark) => {
        const item = last(folder, trial, image, mark);
        return item && item.on;
      },
      answer: (folder, id, answer) => put({ folder, id, answer }),
      undoAnswer: (folder, request, id) => put({ folder, undo: request, id }),
      // Whether the question is answered by what is still under way: undefined if nothing about it is.
      answered: (folder, id) => {
        const item = [...settled, ...entries().map(([, kept]) => kept)].filter((other) => other.folder === folder && other.id === id).pop();
        return item && Boolean(item.answer);
      },
      sending: (folder, trial, image) => entries().some(([, item]) => of(item, folder, trial, image)),
      count: (folder) => entries().filter(([, item]) => item.folder === folder).length,
      // A snapshot asked for at time `asked` knows all that was settled before.
      seen: (asked) => {
        settled = settled.filter((item) => item.at > asked);
      },
      // Which run takes opinions, or ''.
      open: (folder) => {
        if (open === folder) return;
        open = folder;
        send();
      },
    };
  };
})();
