//! Stacks, merged into a tree and drawn as SVG: each function as wide as the share of samples that
//! it is in, the functions that it calls above it.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The picture's width in pixels.
const WIDTH: u64 = 1_200;

/// A function's height in pixels.
const ROW: u64 = 17;

/// The width of a letter in pixels, a little more than it is: text that is cut too early is better
/// than text that runs over its neighbour's.
const LETTER: u64 = 7;

/// Functions that are narrower than this many thousandths of a pixel are left out: nobody could
/// see them, and there are thousands.
const NARROWEST: u64 = 300;

/// Functions above one another; deeper ones are left out.
const DEPTH_MAX: usize = 250;

/// Warm colours, chosen by a function's name so that it looks the same everywhere.
const COLOURS: [&str; 8] = [
    "#f4a259", "#f6bd60", "#f28482", "#e76f51", "#e9c46a", "#f7b267", "#f79d65", "#f4845f",
];

/// Samples by stack.
#[derive(Debug, Default)]
pub(super) struct Flames {
    samples: u64,
    inner: BTreeMap<String, Flames>,
}

impl Flames {
    /// Adds a stack, from the outermost function inwards, that was met so many times.
    pub(super) fn add(&mut self, stack: impl IntoIterator<Item = String>, count: u64) {
        self.samples += count;
        let mut at = self;
        for name in stack.into_iter().take(DEPTH_MAX) {
            at = at.inner.entry(name).or_default();
            at.samples += count;
        }
    }

    fn depth(&self) -> u64 {
        1 + self.inner.values().map(Self::depth).max().unwrap_or(0)
    }

    /// The picture.
    pub(super) fn svg(&self) -> String {
        let height = (self.depth() + 1) * ROW;
        let mut canvas = Canvas {
            text: String::new(),
            samples: self.samples.max(1),
            height,
        };
        canvas.begin();
        canvas.draw("all", self, 0, 0);
        canvas.text.push_str("</svg>\n");
        canvas.text
    }
}

struct Canvas {
    text: String,
    samples: u64,
    height: u64,
}

impl Canvas {
    fn begin(&mut self) {
        let height = self.height;
        let total = self.samples;
        // Writing into a String cannot fail, here and below.
        let _ = write!(
            self.text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fffdf7\"/>\n\
             <text x=\"4\" y=\"12\">processor time by function, {total} samples; point at one for \
             its name</text>\n"
        );
    }

    /// Draws a function that begins after so many samples, and what it calls.
    fn draw(&mut self, name: &str, flames: &Flames, before: u64, level: u64) {
        let milli = |samples: u64| samples * WIDTH * 1_000 / self.samples;
        let (left, width) = (milli(before), milli(flames.samples));
        if width < NARROWEST {
            return;
        }
        let top = self.height - (level + 1) * ROW;
        let percent = flames.samples * 1_000 / self.samples;
        let (x, y, width_shown) = (in_pixels(left), top, in_pixels(width));
        let shown = escaped(name);
        let _ = write!(
            self.text,
            "<g><title>{shown} ({} samples, {}.{} %)</title>\
             <rect x=\"{x}\" y=\"{y}\" width=\"{width_shown}\" height=\"{}\" rx=\"2\" \
             fill=\"{}\" stroke=\"#fffdf7\" stroke-width=\"0.5\"/>",
            flames.samples,
            percent / 10,
            percent % 10,
            ROW - 1,
            colour(name),
        );
        let letters = usize::try_from(width / 1_000 / LETTER).unwrap_or(0);
        if letters > 2 {
            let cut: String = name.chars().take(letters).collect();
            let (x, y) = (in_pixels(left + 3_000), top + 12);
            let _ = write!(
                self.text,
                "<text x=\"{x}\" y=\"{y}\">{}</text>",
                escaped(&cut)
            );
        }
        self.text.push_str("</g>\n");
        let mut before = before;
        for (name, inner) in &flames.inner {
            self.draw(name, inner, before, level + 1);
            before += inner.samples;
        }
    }
}

fn in_pixels(milli: u64) -> String {
    format!("{}.{:03}", milli / 1_000, milli % 1_000)
}

fn colour(name: &str) -> &'static str {
    let sum = name.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    });
    COLOURS
        .get(sum % COLOURS.len())
        .copied()
        .unwrap_or("#f4a259")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // XML knows no other control characters than these.
            '\t' | '\n' => out.push(' '),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn stacks_with_a_common_beginning_share_it() {
        let mut flames = Flames::default();
        flames.add(stack(&["main", "read"]), 3);
        flames.add(stack(&["main", "write"]), 1);
        assert_eq!(flames.samples, 4);
        let main = &flames.inner["main"];
        assert_eq!((main.samples, main.inner["read"].samples), (4, 3));
        assert_eq!(flames.depth(), 3);
        let svg = flames.svg();
        assert!(
            svg.contains("<title>read (3 samples, 75.0 %)</title>"),
            "{svg}"
        );
        assert!(svg.contains("width=\"900.000\""), "{svg}");
        // What it calls begins where it begins, the next one where that ends.
        assert!(svg.contains("<rect x=\"900.000\""), "{svg}");
    }

    #[test]
    fn names_are_text_and_not_markup() {
        let mut flames = Flames::default();
        flames.add(stack(&["<T as From<&str>>::from\u{1}"]), 1);
        let svg = flames.svg();
        assert!(
            svg.contains("&lt;T as From&lt;&amp;str&gt;&gt;::from ("),
            "{svg}"
        );
    }

    #[test]
    fn without_samples_there_still_is_a_picture() {
        let svg = Flames::default().svg();
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
    }
}
