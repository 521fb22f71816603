// Draws and computes in the browser what tutseg.report.interactive does in Python (a test holds them equal).
function tutsegFigure(root, spec) {
  const decode = (uri) => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      done(context.getImageData(0, 0, canvas.width, canvas.height));
    };
    image.onerror = fail;
    image.src = uri;
  });
  const mean = (values) => values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
  const shown = (value, decimals = 3) => value === null ? "–" : value.toFixed(decimals);

  const KINDS = {
    threshold: {
      async load() {
        this.maps = await Promise.all(spec.maps.map(decode));
        this.pictures = await Promise.all(spec.pictures.map(decode));
      },
      // For each pixel of a picture: a function of net 1, net 2 (lesion or not); one a target.
      targets(rule) {
        return {
          union: [(a, b) => a || b],
          intersection: [(a, b) => a && b],
          "net 1": [(a) => a],
          "net 2": [(a, b) => b],
          cross: [(a, b) => b, (a) => a],
        }[rule];
      },
      // Calls visit(pixel, label, truth) for every pixel; p > τ is decided in whole numbers, as in Python.
      each(at, tau, target, visit) {
        const pixels = this.maps[at].data, bar = Math.round(tau * 100) * 255;
        for (let i = 0; i < pixels.length; i += 4) {
          visit(i, target(pixels[i] * 100 > bar, pixels[i + 1] * 100 > bar), pixels[i + 2] > 0);
        }
      },
      scores(at, state) {
        const dice = [], missed = [];
        for (const target of this.targets(state.rule)) {
          let both = 0, labelled = 0, lesion = 0;
          this.each(at, state.tau, target, (_, label, truth) => {
            both += label && truth;
            labelled += label;
            lesion += truth;
          });
          dice.push(labelled + lesion ? 2 * both / (labelled + lesion) : 1);
          missed.push(lesion ? 1 - both / lesion : null);
        }
        return [mean(dice), missed.includes(null) ? null : mean(missed)];
      },
      numbers(state) {
        const every = spec.ids.map((_, at) => this.scores(at, state));
        const [dice, missed] = every[spec.ids.indexOf(state.picture)];
        return {
          "Dice of this label": dice,
          "lesion called background": missed,
          "mean Dice, all pictures": mean(every.map((each) => each[0])),
          "mean lesion called background": mean(every.map((each) => each[1]).filter((share) => share !== null)),
        };
      },
      panels(state) {
        const at = spec.ids.indexOf(state.picture), targets = this.targets(state.rule);
        const titles = targets.length === 1 ? ["pseudo-label"] : ["net 1 learns from net 2", "net 2 learns from net 1"];
        const drawn = { "picture, hidden truth outlined": this.pictures[at] };
        targets.forEach((target, which) => {
          const out = new ImageData(this.maps[at].width, this.maps[at].height);
          this.each(at, state.tau, target, (i, label, truth) => {
            const colour = spec.colours[label ? (truth ? 0 : 1) : (truth ? 2 : 3)];
            out.data.set([...colour, 255], i);
          });
          drawn[titles[which]] = out;
        });
        return drawn;
      },
    },
    steps: {
      async load() {
        this.frames = await Promise.all(spec.panels.map(([, frames]) => Promise.all(frames.map(decode))));
      },
      numbers(state) {
        const found = { iteration: spec.steps[state.frame] };
        for (const [words, column] of Object.entries(spec.values)) found[words] = column[state.frame];
        return found;
      },
      panels(state) {
        return Object.fromEntries(spec.panels.map(([words], at) => [words, this.frames[at][state.frame % this.frames[at].length]]));
      },
    },
    grid: {
      async load() {
        this.frames = await Promise.all(spec.frames.map(decode));
      },
      place(state) {
        return spec.axes.reduce((at, [words, values]) => at * values.length + values.indexOf(state[words]), 0);
      },
      numbers(state) {
        const at = this.place(state);
        return Object.fromEntries(Object.entries(spec.values).map(([words, column]) => [words, column[at]]));
      },
      panels(state) {
        return { clusters: this.frames[this.place(state)] };
      },
    },
  };

  const figure = KINDS[spec.kind], state = {};
  const live = root.querySelector(".tutseg-live"), stills = root.querySelector(".tutseg-stills");
  const make = (tag, parent, properties = {}) => parent.appendChild(Object.assign(document.createElement(tag), properties));
  const controls = make("div", live, { className: "tutseg-controls" });
  const body = make("div", live, { className: "tutseg-body" });
  const drawing = make("div", body, { className: "tutseg-panels" });
  const readout = make("div", body, { className: "tutseg-readout" });
  readout.setAttribute("aria-live", "polite");

  // The state in words, as InteractiveFigure.told has it.
  const told = () => spec.controls.map((control) => {
    const value = state[control.name];
    return `${control.label} ${control.choices.length ? value : shown(value, control.decimals)}`;
  }).join(", ");

  const redraw = () => {
    const panels = Object.entries(figure.panels(state));
    while (drawing.children.length > panels.length) drawing.lastChild.remove();
    panels.forEach(([title, pixels], at) => {
      const box = drawing.children[at] || make("figure", drawing);
      const canvas = box.querySelector("canvas") || make("canvas", box);
      const caption = box.querySelector("figcaption") || make("figcaption", box);
      canvas.width = pixels.width;
      canvas.height = pixels.height;
      canvas.getContext("2d").putImageData(pixels, 0, 0);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${title}; ${told()}`);
      caption.textContent = title;
    });
    readout.replaceChildren();
    for (const [words, value] of Object.entries(figure.numbers(state))) {
      make("output", make("div", readout, { textContent: words + " " }), { textContent: shown(value, spec.decimals[words]) });
    }
  };

  for (const control of spec.controls) {
    state[control.name] = control.start;
    const row = make("label", controls, { className: "tutseg-control" });
    make("span", row, { textContent: control.label });
    const menu = control.choices.length > 0;
    const input = make(menu ? "select" : "input", row, { name: control.name });
    if (menu) {
      for (const choice of control.choices) make("option", input, { value: choice, textContent: choice });
    } else {
      Object.assign(input, { type: "range", min: control.low, max: control.high, step: control.step });
    }
    input.value = control.start;
    const value = menu ? null : make("output", row, { textContent: shown(control.start, control.decimals) });
    input.addEventListener("input", () => {
      state[control.name] = menu ? input.value : Number(input.value);
      if (value) value.textContent = shown(state[control.name], control.decimals);
      redraw();
    });
  }

  figure.load().then(() => {
    redraw();
    live.hidden = false;
    stills.classList.add("tutseg-only-print");
    root.dataset.ready = "yes";
  });
}
