// A trial's merge put to use: on the sliders of "Try it", or saved and chosen as a model of the next run.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const LETTERS = ['A', 'B'];

  // form: {useModel}; attempt(act) shows what goes wrong; onSay(sentences); tried: the card "Try it".
  // Returns {row}: row(id, what, words) makes the buttons; what() says which: {folder, trial}, a null trial the winner.
  optim.parentActions = ({ form, attempt, onSay, tried }) => {
    let busy = false;
    const take = (i, which) => attempt(async () => {
      if (busy) return;
      busy = true;
      try {
        const called = which.trial === null ? `The winner of ${which.folder}` : `Trial ${which.trial}`;
        onSay([`${called} is being saved as a checkpoint …`]);
        const saved = await optim.post('parent', which);
        await form.useModel(i, saved.path);
        onSay([`Trial ${saved.trial} is saved as ${saved.title}, and is model ${LETTERS[i]} of the next run.`, ...saved.notes]);
      } finally {
        busy = false;
      }
    });
    const row = (id, what, words) => {
      const go = optim.button(`${id}_try`, words.go, () => tried.load(what()), 'small', 'Put its values on the sliders of "Try it"');
      const models = LETTERS.map((letter, i) => optim.button(`${id}_model_${letter.toLowerCase()}`, i ? `as model ${letter}` : `${words.use} as model ${letter}`, () => take(i, what()), 'small', `Save its merge as a checkpoint and choose it as model ${letter} of the form`));
      return el('div', { class: 'optim-row optim-tight optim-parent-row' }, go, ...models);
    };
    return { row };
  };
})();
