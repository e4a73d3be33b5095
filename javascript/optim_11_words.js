// The tab's own words in the language of the settings. What a user or the program wrote never passes through here.
(() => {
  'use strict';
  const optim = window.optimTab;
  let words = {};

  // `text` is always written out at the call (tests/ui/test_words.py reads the calls); what varies goes into {places}.
  optim.tr = (text, values) => {
    const own = Object.hasOwn(words, text) ? words[text] : text;
    return values ? own.replace(/\{(\w+)\}/g, (place, name) => (name in values ? `${values[name]}` : place)) : own;
  };
  // "3 trials": `one` and `many` hold the place {n}.
  optim.count = (n, one, many) => optim.tr(n === 1 ? one : many, { n });

  // Asked for before anything is drawn. Without an answer the words are English.
  optim.loadWords = async () => {
    try {
      words = (await optim.get('words')).words;
    } catch {
      words = {};
    }
  };
})();
