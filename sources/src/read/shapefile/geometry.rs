//! Shapes as GeoJSON. Coordinates stay as they are in the file: in its reference system, and rings in its direction.

use ::shapefile::{Point, PointM, PointZ, PolygonRing, Shape};
use serde_json::{Value, json};

use super::bad;
use crate::Result;

/// The GeoJSON of a shape, if it is one.
pub(super) fn text(shape: &Shape) -> Result<Option<String>> {
    let geometry = match shape {
        Shape::NullShape => return Ok(None),
        Shape::Point(at) => of("Point", point(at)),
        Shape::PointM(at) => of("Point", point(at)),
        Shape::PointZ(at) => of("Point", point(at)),
        Shape::Multipoint(shape) => of("MultiPoint", line(shape.points())),
        Shape::MultipointM(shape) => of("MultiPoint", line(shape.points())),
        Shape::MultipointZ(shape) => of("MultiPoint", line(shape.points())),
        Shape::Polyline(shape) => lines(shape.parts()),
        Shape::PolylineM(shape) => lines(shape.parts()),
        Shape::PolylineZ(shape) => lines(shape.parts()),
        Shape::Polygon(shape) => polygons(shape.rings()),
        Shape::PolygonM(shape) => polygons(shape.rings()),
        Shape::PolygonZ(shape) => polygons(shape.rings()),
        Shape::Multipatch(_) => return Err(bad("a shape is a multipatch, which GeoJSON does not have")),
    };
    match geometry {
        Some(geometry) => Ok(Some(geometry.to_string())),
        None => Err(bad("a shape has a coordinate that is no number")),
    }
}

/// A point of any of the kinds.
trait Position {
    fn xy(&self) -> (f64, f64);
    fn z(&self) -> Option<f64> {
        None
    }
}

impl Position for Point {
    fn xy(&self) -> (f64, f64) {
        (self.x, self.y)
    }
}

impl Position for PointM {
    fn xy(&self) -> (f64, f64) {
        (self.x, self.y)
    }
}

impl Position for PointZ {
    fn xy(&self) -> (f64, f64) {
        (self.x, self.y)
    }

    fn z(&self) -> Option<f64> {
        Some(self.z)
    }
}

fn of(kind: &str, coordinates: Option<Value>) -> Option<Value> {
    Some(json!({ "type": kind, "coordinates": coordinates? }))
}

fn point(at: &impl Position) -> Option<Value> {
    let (x, y) = at.xy();
    let numbers = [x, y].into_iter().chain(at.z());
    numbers
        .map(|number| number.is_finite().then(|| json!(number)))
        .collect::<Option<Vec<_>>>()
        .map(Value::Array)
}

fn line(points: &[impl Position]) -> Option<Value> {
    points.iter().map(point).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn lines(parts: &[Vec<impl Position>]) -> Option<Value> {
    match parts {
        [only] => of("LineString", line(only)),
        parts => {
            let lines = parts.iter().map(|part| line(part)).collect::<Option<Vec<_>>>();
            of("MultiLineString", lines.map(Value::Array))
        }
    }
}

/// Holes go into the outer ring that they lie in.
fn polygons<P: Position>(rings: &[PolygonRing<P>]) -> Option<Value> {
    let outer = rings.iter().filter_map(|ring| match ring {
        PolygonRing::Outer(points) => Some(points.as_slice()),
        PolygonRing::Inner(_) => None,
    });
    let outer: Vec<&[P]> = outer.collect();
    let mut polygons: Vec<Vec<Value>> = Vec::new();
    for ring in &outer {
        polygons.push(vec![line(ring)?]);
    }
    for ring in rings {
        let PolygonRing::Inner(points) = ring else { continue };
        let within = outer
            .iter()
            .position(|outer| points.first().is_some_and(|at| contains(outer, at.xy())));
        match polygons.get_mut(within.unwrap_or(0)) {
            Some(polygon) => polygon.push(line(points)?),
            // Some writers turn the rings the wrong way.
            None => polygons.push(vec![line(points)?]),
        }
    }
    let mut polygons = polygons.into_iter().map(Value::Array);
    match (polygons.next(), polygons.len()) {
        (Some(only), 0) => of("Polygon", Some(only)),
        (first, _) => of("MultiPolygon", Some(first.into_iter().chain(polygons).collect())),
    }
}

/// Whether a point lies in a ring: a ray from it crosses the ring an odd number of times.
fn contains(ring: &[impl Position], (x, y): (f64, f64)) -> bool {
    let edges = ring.iter().zip(ring.iter().skip(1));
    let crossings = edges.filter(|(from, to)| {
        let ((from_x, from_y), (to_x, to_y)) = (from.xy(), to.xy());
        (from_y > y) != (to_y > y) && x < (to_x - from_x) * (y - from_y) / (to_y - from_y) + from_x
    });
    crossings.count() % 2 == 1
}
