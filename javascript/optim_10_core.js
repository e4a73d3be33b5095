// Shared by the scripts of the Optim tab: DOM building, requests, formats, stored settings. Adds one name: optimTab.
(() => {
  'use strict';
  const optim = (window.optimTab = window.optimTab || {});
  const SVG = 'http://www.w3.org/2000/svg';

  const fill = (node, props, children) => {
    for (const [key, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (key === 'text') node.textContent = value;
      else if (key === 'on') for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (key === 'value' || key === 'checked' || key === 'disabled' || key === 'selected') node[key] = value;
      else node.setAttribute(key, value === true ? '' : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  // Text always goes through textContent or text nodes: names and prompts are never read as HTML.
  optim.el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
  optim.svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

  optim.setText = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  optim.setClass = (node, name, on) => node.classList.toggle(name, Boolean(on));
  optim.setDisabled = (node, off) => {
    if (node.disabled !== Boolean(off)) node.disabled = Boolean(off);
  };
  // Sets a field, but never under the hands of somebody who is typing into it.
  optim.assign = (input, value) => {
    if (document.activeElement !== input && String(input.value) !== String(value)) input.value = value;
  };
  optim.show = (node, on) => {
    if (node.hidden === Boolean(on)) node.hidden = !on;
  };

  optim.url = (path) => new URL(`optim/${path}`, document.baseURI).href;
  optim.imageUrl = (folder, file) => optim.url(`image/${encodeURIComponent(folder)}/${encodeURIComponent(file)}`);

  class ApiError extends Error {
    constructor(sentence, status, problems) {
      super(sentence);
      this.status = status;
      this.problems = problems || [];
      this.offline = status === 0;
    }
  }

  const request = async (path, options) => {
    let response;
    try {
      response = await fetch(optim.url(`api/${path}`), { credentials: 'same-origin', cache: 'no-store', ...options });
    } catch {
      throw new ApiError('The program does not answer; is it still running?', 0);
    }
    let data = null;
    try {
      data = await response.json();
    } catch {
      throw new ApiError(`The program gave an answer that cannot be read (status ${response.status}).`, response.status);
    }
    if (!response.ok) {
      throw new ApiError(data.error || `The request failed (status ${response.status}).`, response.status, data.problems);
    }
    return data;
  };
  optim.get = (path) => request(path);
  optim.post = (path, body) =>
    request(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body || {}) });

  optim.number = (value) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2);
    return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  };
  optim.seconds = (value) => {
    if (value === null || value === undefined) return '–';
    return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
  };
  optim.duration = (value) => {
    if (value < 50) return `${Math.max(5, Math.round(value / 5) * 5)} s`;
    if (value < 3570) return `${Math.max(1, Math.round(value / 60))} min`;
    const hours = Math.floor(value / 3600);
    const minutes = Math.round((value - hours * 3600) / 600) * 10;
    return minutes === 60 ? `${hours + 1} h` : minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  };
  optim.bytes = (value) => {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let i = 0;
    while (value >= 1000 && i < units.length - 1) {
      value /= 1000;
      i += 1;
    }
    return `${value < 10 && i > 1 ? value.toFixed(1) : Math.round(value)} ${units[i]}`;
  };
  optim.plural = (count, one, many) => `${count} ${count === 1 ? one : many || `${one}s`}`;

  optim.recall = (key, otherwise) => {
    try {
      const text = localStorage.getItem(`optim_${key}`);
      return text === null ? otherwise : JSON.parse(text);
    } catch {
      return otherwise;
    }
  };
  optim.remember = (key, value) => {
    try {
      localStorage.setItem(`optim_${key}`, JSON.stringify(value));
    } catch {
      // A full or forbidden store only means that the form starts from its defaults next time.
    }
  };

  // A chosen file as requests carry it.
  optim.base64 = (file) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(',')[1] || '');
    reader.onerror = () => reject(new Error(`${file.name} can't be read.`));
    reader.readAsDataURL(file);
  });

  let counter = 0;
  optim.requestId = () => {
    counter += 1;
    return `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}-${counter}`;
  };

  optim.parts = {};
})();
