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
    fuzzy: {
      async load() {
        this.maps = await Promise.all(spec.maps.map(decode));
        this.pictures = await Promise.all(spec.pictures.map(decode));
      },
      // Calls visit(pixel, level of M^f, fuzzy or not, level of the truth); m > τ in whole numbers, as in Python.
      each(at, state, visit) {
        const pixels = this.maps[at].data, bar = Math.round(state.tau * 100) * 255;
        const chosen = spec.choices.indexOf(state.criterion);
        for (let i = 0; i < pixels.length; i += 4) {
          const m = chosen ? pixels[i + chosen - 1] : Math.max(pixels[i], pixels[i + 1]), above = m * 100 > bar;
          visit(i, above ? 255 : m, above, pixels[i + 2]);
        }
      },
      scores(at, state) {
        let called = 0, fuzzy = 0, both = 0, n = 0;
        this.each(at, state, (_, level, above, truth) => {
          n += 1;
          called += above;
          fuzzy += truth > 127;
          both += above && truth > 127;
        });
        return [called / n, fuzzy / n, called + fuzzy ? 2 * both / (called + fuzzy) : 1];
      },
      numbers(state) {
        const every = spec.ids.map((_, at) => this.scores(at, state));
        const [called, fuzzy, dice] = every[spec.ids.indexOf(state.picture)];
        return {
          "share called fuzzy": called,
          "share truly fuzzy": fuzzy,
          "Dice of the two": dice,
          "mean Dice, all pictures": mean(every.map((each) => each[2])),
        };
      },
      panels(state) {
        const at = spec.ids.indexOf(state.picture);
        const mask = new ImageData(this.maps[at].width, this.maps[at].height);
        const truly = new ImageData(this.maps[at].width, this.maps[at].height);
        this.each(at, state, (i, level, above, truth) => {
          mask.data.set([level, level, level, 255], i);
          truly.data.set([truth, truth, truth, 255], i);
        });
        return { picture: this.pictures[at], "fuzzy mask": mask, "true fuzziness": truly };
      },
    },
    steps: {
      async load() {
        this.frames = await Promise.all(spec.panels.map(([, frames]) => Promise.all(frames.map(decode))));
      },
      numbers(state) {
        const found = { [spec.counted]: spec.steps[state.frame] };
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
        return { [spec.shown]: this.frames[this.place(state)] };
      },
    },
    walk: {
      async load() {
        this.sheet = await decode(spec.sheet);
        this.size = this.sheet.width / spec.lattice;
      },
      place: (state) => [state.across, state.down].map((way) => Math.round(way / spec.step)),
      numbers(state) {
        const [x, y] = this.place(state), at = y * spec.lattice + x;
        return Object.fromEntries(Object.entries(spec.values).map(([words, column]) => [words, column[at]]));
      },
      panels(state) {
        const [x, y] = this.place(state), size = this.size, out = new ImageData(size, size);
        for (let row = 0; row < size; row++) {
          const from = 4 * ((y * size + row) * this.sheet.width + x * size);
          out.data.set(this.sheet.data.subarray(from, from + 4 * size), 4 * row * size);
        }
        return { "drawn at this place": out };
      },
    },
    prompts: {
      async load() {
        [this.sheet, this.picture, this.lesions] = await Promise.all([spec.sheet, spec.picture, spec.lesions].map(decode));
      },
      // What the sheet's tile of a state says of each pixel: an answer's bit, and a prompt's.
      each(state, visit) {
        const size = this.picture.width, told = spec.kinds.indexOf(state.told);
        const left = spec.places.indexOf(state.across) * size, top = spec.places.indexOf(state.down) * size;
        for (let y = 0; y < size; y++) {
          for (let x = 0; x < size; x++) {
            const bits = this.sheet.data[4 * ((top + y) * this.sheet.width + left + x)];
            visit(4 * (y * size + x), bits >> told & 1, bits >> told + spec.kinds.length & 1);
          }
        }
      },
      numbers(state) {
        const n = spec.places.length;
        const at = (spec.kinds.indexOf(state.told) * n + spec.places.indexOf(state.down)) * n + spec.places.indexOf(state.across);
        return Object.fromEntries(Object.entries(spec.values).map(([words, column]) => [words, column[at]]));
      },
      panels(state) {
        const { width, height } = this.picture;
        const asked = new ImageData(new Uint8ClampedArray(this.picture.data), width), answer = new ImageData(width, height);
        this.each(state, (i, inside, marked) => {
          const lesion = this.lesions.data[i] > 0;
          answer.data.set([...spec.colours[inside ? (lesion ? 0 : 1) : (lesion ? 2 : 3)], 255], i);
          if (marked) asked.data.set([...spec.mark, 255], i);
        });
        return { "the prompt; lesion A is outlined in white": asked, "the answer": answer };
      },
    },
    soft: {
      async load() {
        const maps = await decode(spec.maps), at = (which) => (_, i) => 2 * maps.data[4 * i + which] / 255 - 1;
        this.size = [maps.width, maps.height];
        const all = (which) => Float64Array.from({ length: maps.width * maps.height }, at(which));
        this.sam = all(0).map((z) => spec.farthest * z);
        this.main = all(1).map((z) => spec.farthest * z);
        this.sdf = all(2);
      },
      sigmoid: (z) => 1 / (1 + Math.exp(-z)),
      numbers(state) {
        const T = state.T, k = Number(state.k), n = this.sam.length;
        let loss = 0, apart = 0, moved = 0;
        for (let i = 0; i < n; i++) {
          const p = this.sigmoid(this.sam[i] / T), q = this.sigmoid(this.main[i] / T), s = this.sigmoid(-k * this.sdf[i]);
          loss += p * (Math.log(p) - Math.log(q)) + (1 - p) * (Math.log(1 - p) - Math.log(1 - q));
          apart += (s - this.sigmoid(this.main[i])) ** 2;
          moved += s * (1 - s) > 0.01;
        }
        return {
          "L_kd with T²": loss / n * T ** 2,
          "L_kd without T²": loss / n,
          "the two heads' difference": apart / n,
          "pixels whose distance has a gradient": moved / n,
        };
      },
      panels(state) {
        const grey = (map, of) => {
          const out = new ImageData(...this.size);
          map.forEach((z, i) => out.data.set([...Array(3).fill(Math.floor(255 * of(z) + 0.5)), 255], 4 * i));
          return out;
        };
        return {
          "SAM at T": grey(this.sam, (z) => this.sigmoid(z / state.T)),
          "main network at T": grey(this.main, (z) => this.sigmoid(z / state.T)),
          "mask of the distance": grey(this.sdf, (phi) => this.sigmoid(-Number(state.k) * phi)),
        };
      },
    },
  };

  const figure = KINDS[spec.kind], state = {}, inputs = {};
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
    inputs[control.name] = input;
    const value = menu ? null : make("output", row, { textContent: shown(control.start, control.decimals) });
    input.addEventListener("input", () => {
      state[control.name] = menu ? input.value : Number(input.value);
      if (value) value.textContent = shown(state[control.name], control.decimals);
      redraw();
    });
  }

  // Where a figure has sliders for a place, its first picture can be pointed at as well.
  const point = (event) => {
    const canvas = drawing.querySelector("canvas");
    if (event.target !== canvas || !event.buttons) return;
    const frame = canvas.getBoundingClientRect();
    const at = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    spec.pointed.forEach((name, i) => {
      inputs[name].value = 100 * at[i];
      inputs[name].dispatchEvent(new Event("input"));
    });
  };
  if (spec.pointed) {
    drawing.classList.add("tutseg-pointed");
    for (const kind of ["pointerdown", "pointermove"]) drawing.addEventListener(kind, point);
  }

  figure.load().then(() => {
    redraw();
    live.hidden = false;
    stills.classList.add("tutseg-only-print");
    root.dataset.ready = "yes";
  });
}
