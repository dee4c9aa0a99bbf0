//! A line chart as SVG. Pure.

use std::fmt::Write as _;

use crate::task::bench::statistics::Spread;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;

/// The room around the lines: for the title, the legend, and the names of the ticks.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Distinct also for the colour-blind.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Lines over an axis.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
}

/// What an axis shows.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) name: String,
    pub(super) logarithmic: bool,
    /// Where its ticks are, and their names; without any they follow from the values.
    pub(super) ticks: Vec<(f64, String)>,
}

/// One line, with the spread of each point.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, Spread)>,
}

impl Chart {
    /// The drawing.
    pub(super) fn svg(&self, title: &str) -> String {
        let xs = self.series.iter().flat_map(|series| series.points.iter().map(|(x, _)| *x));
        let ys = self.series.iter().flat_map(|series| series.points.iter().flat_map(|(_, y)| [y.least, y.most]));
        let x = Scale::new(xs, self.x.logarithmic, [LEFT, WIDTH - RIGHT]);
        let y = Scale::new(
            ys.chain(if self.y.logarithmic { None } else { Some(0.0) }),
            self.y.logarithmic,
            [HEIGHT - BOTTOM, TOP],
        );
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, LEFT, 22.0, "start", title);
        text(&mut svg, LEFT.midpoint(WIDTH - RIGHT), HEIGHT - 10.0, "middle", &self.x.name);
        text(&mut svg, LEFT, TOP - 4.0, "end", &self.y.name);
        for (value, name) in &self.x.ticks {
            let at = x.place(*value);
            line(&mut svg, [at, TOP], [at, HEIGHT - BOTTOM]);
            text(&mut svg, at, HEIGHT - BOTTOM + 18.0, "middle", name);
        }
        for value in y.ticks() {
            let at = y.place(value);
            line(&mut svg, [LEFT, at], [WIDTH - RIGHT, at]);
            text(&mut svg, LEFT - 6.0, at + 4.0, "end", &number(value));
        }
        for (place, (series, colour)) in (0_u32..).zip(self.series.iter().zip(COLOURS.iter().cycle())) {
            series.draw(&mut svg, x, y, colour);
            let at = TOP + 10.0 + f64::from(place) * 20.0;
            let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"{at}\" r=\"4\" fill=\"{colour}\"/>", WIDTH - RIGHT + 18.0);
            text(&mut svg, WIDTH - RIGHT + 28.0, at + 4.0, "start", &series.name);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Series {
    fn draw(&self, svg: &mut String, x: Scale, y: Scale, colour: &str) {
        let mut points = String::new();
        for (at, spread) in &self.points {
            let (across, middle) = (x.place(*at), y.place(spread.median));
            let _ = write!(points, "{across:.1},{middle:.1} ");
            let [least, most] = [spread.least, spread.most].map(|value| y.place(value));
            let _ = writeln!(
                svg,
                "<path d=\"M{across:.1} {least:.1}V{most:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.4\"/>\n\
                 <circle cx=\"{across:.1}\" cy=\"{middle:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
        let points = points.trim_end();
        let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
    }
}

/// From values to places on the drawing.
#[derive(Debug, Clone, Copy)]
struct Scale {
    logarithmic: bool,
    values: [f64; 2],
    places: [f64; 2],
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, logarithmic: bool, places: [f64; 2]) -> Self {
        let values = values.filter(|value| !logarithmic || *value > 0.0);
        let [least, most] =
            values.fold([f64::MAX, f64::MIN], |[least, most], value| [least.min(value), most.max(value)]);
        let most = if most > least { most } else { least + 1.0 };
        Self { logarithmic, values: [least, most], places }
    }

    fn place(self, value: f64) -> f64 {
        let scaled = |value: f64| if self.logarithmic { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let [least, most] = self.values.map(scaled);
        let share = ((scaled(value) - least) / (most - least)).clamp(0.0, 1.0);
        self.places[0] + share * (self.places[1] - self.places[0])
    }

    /// Round values: powers of ten with their doubles and fives, or about five steps.
    fn ticks(self) -> Vec<f64> {
        let [least, most] = self.values;
        let unit = 10_f64.powf(if self.logarithmic { least.log10() } else { ((most - least) / 5.0).log10() }.floor());
        if !self.logarithmic {
            let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * unit);
            let step = step.into_iter().find(|step| (most - least) / step <= 6.0).unwrap_or(10.0 * unit);
            return (0..=10).map(|n| f64::from(n) * step).filter(|tick| (least..=most).contains(tick)).collect();
        }
        let decades = (0..12).map(|n| unit * 10_f64.powi(n));
        let ticks = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|factor| factor * decade));
        ticks.filter(|tick| (least..=most).contains(tick)).collect()
    }
}

fn line(svg: &mut String, from: [f64; 2], to: [f64; 2]) {
    let [[x1, y1], [x2, y2]] = [from, to];
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn number(value: f64) -> String {
    if value >= 10_000.0 { format!("{:.0} k", value / 1_000.0) } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(logarithmic: bool, values: [f64; 2]) -> Scale {
        Scale::new(values.into_iter(), logarithmic, [0.0, 100.0])
    }

    #[test]
    fn a_value_is_placed_by_its_share_or_by_that_of_its_logarithm() {
        assert!((scale(false, [0.0, 10.0]).place(5.0) - 50.0).abs() < 1e-9);
        assert!((scale(true, [1.0, 10_000.0]).place(100.0) - 50.0).abs() < 1e-9);
        assert!((scale(false, [3.0, 3.0]).place(3.0)).abs() < 1e-9);
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        assert_eq!(scale(false, [0.0, 9_000.0]).ticks(), [0.0, 2_000.0, 4_000.0, 6_000.0, 8_000.0]);
        assert_eq!(scale(true, [60.0, 900.0]).ticks(), [100.0, 200.0, 500.0]);
    }

    #[test]
    fn a_chart_draws_every_series_and_names_it() {
        let point = |x: f64, y: f64| (x, Spread { median: y, least: y, most: y });
        let series = |name: &str| Series { name: name.into(), points: vec![point(1.0, 2.0), point(64.0, 9.0)] };
        let axis = |name: &str, logarithmic| Axis { name: name.into(), logarithmic, ticks: vec![(1.0, "1".into())] };
        let chart =
            Chart { x: axis("in flight", true), y: axis("s", false), series: vec![series("a"), series("b & c")] };
        let svg = chart.svg("a title");
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("b &amp; c") && svg.contains("a title") && svg.trim_end().ends_with("</svg>"), "{svg}");
    }
}
