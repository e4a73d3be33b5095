// How the user's own eyes judge: a number per image, the better one of two, best and worst of a grid.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const WAYS = [['rate', 'Rate each image'], ['pairs', 'Compare two'], ['grid', 'Best and worst of a grid']];
  const HELP = {
    rate: 'A number for every image.',
    pairs: 'Which of two is better? A new merge meets the best so far first. Answers become values from 0 to 10: how many of ten comparisons with an average merge it would win.',
    grid: 'Click the best image, then the worst. A new merge stands among the best so far and others of its strength.',
  };

  // state: the row of the form; ratings: the field of named ratings, for the way "rate" only.
  optim.ways = (plan, state, ratings) => {
    const options = () => (state.options = state.options || {});
    const help = el('div', { class: 'optim-help' });
    const count = (name, label, least, most, hint) => optim.field(label, el('input', {
      id: `optim_${name}`, type: 'number', min: least, max: most, step: 1, class: 'optim-input',
      value: options()[name] === undefined ? '' : options()[name],
      on: {
        input: (event) => {
          options()[name] = event.target.value;
          plan.changed('scorers');
        },
      },
    }), hint);
    const comparisons = count('comparisons', 'Comparisons per trial', 1, 10, 'How often each new merge is compared before the search goes on.');
    const pictures = count('pictures', 'Pictures of a grid', 3, 9);
    pictures.querySelector('input').placeholder = '4';
    const way = el('select', {
      id: 'optim_way', class: 'optim-input',
      on: {
        change: () => {
          options().way = way.value;
          reveal();
          plan.changed('scorers');
        },
      },
    }, ...WAYS.map(([value, text]) => el('option', { value, text })));
    const reveal = () => {
      optim.setText(help, HELP[way.value]);
      ratings.hidden = way.value !== 'rate';
      comparisons.hidden = way.value === 'rate';
      comparisons.querySelector('input').placeholder = way.value === 'grid' ? '1' : '2';
      pictures.hidden = way.value !== 'grid';
    };
    way.value = options().way || 'rate';
    reveal();
    return [optim.field('How you judge', way), help, comparisons, pictures, ratings];
  };
})();
