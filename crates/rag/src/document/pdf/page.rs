//! A page's instructions, as far as they write.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::font::{Font, number};
use super::layout::Layout;
use super::{PdfLoader, refused, wrong};
use crate::Result;

/// How deep forms may stand in forms.
const MAX_FORMS: usize = 8;
/// As many instructions does drawing a form count.
const FORM: usize = 1_000;
/// The most states that are kept at once.
const MAX_STATES: usize = 256;

/// Where something is drawn: the six numbers of the format's matrices.
#[derive(Clone, Copy)]
struct Matrix([f32; 6]);

impl Matrix {
    const UNIT: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn shift(x: f32, y: f32) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// Does this first, then the other.
    fn then(self, other: Self) -> Self {
        let [to_across, to_up, to_right, to_tall, to_x, to_y] = other.0;
        let turn = |x: f32, y: f32| (x * to_across + y * to_right, x * to_up + y * to_tall);
        let [across, up, right, tall, x, y] = self.0;
        let ((across, up), (right, tall), (x, y)) = (turn(across, up), turn(right, tall), turn(x, y));
        Self([across, up, right, tall, x + to_x, y + to_y])
    }

    fn origin(self) -> (f32, f32) {
        let [.., e, f] = self.0;
        (e, f)
    }

    /// How tall what is one tall becomes.
    fn height(self) -> f32 {
        let [_, _, c, d, ..] = self.0;
        c.hypot(d)
    }
}

#[derive(Clone)]
struct State<'a> {
    page: Matrix,
    font: Option<Rc<Font<'a>>>,
    size: f32,
    leading: f32,
    letter_gap: f32,
    word_gap: f32,
    stretch: f32,
    /// How far letters stand above their line.
    rise: f32,
}

/// Reads one page after another.
pub(super) struct Reader<'a> {
    file: &'a Document,
    /// By where the dictionary stands, so that a font of many pages is read once.
    fonts: HashMap<*const Dictionary, Option<Rc<Font<'a>>>>,
    left: usize,
    known: usize,
    unknown: usize,
}

type Fonts<'a> = BTreeMap<Vec<u8>, &'a Dictionary>;

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Document) -> Self {
        Self { file, fonts: HashMap::new(), left: PdfLoader::MAX_INSTRUCTIONS, known: 0, unknown: 0 }
    }

    /// Tells whether most codes had no letter.
    pub(super) fn is_mostly_unknown(&self) -> bool {
        self.unknown > self.known
    }

    pub(super) fn page(&mut self, page: ObjectId) -> Result<String> {
        let fonts = self.file.get_page_fonts(page).unwrap_or_default();
        let content =
            self.file.get_page_content_with_limit(page, PdfLoader::MAX_PAGE_BYTES).map_err(wrong)?;
        let (direct, others) = self.file.get_page_resources(page).unwrap_or_default();
        let others = others.into_iter().filter_map(|id| self.file.get_dictionary(id).ok());
        let resources: Vec<&'a Dictionary> = direct.into_iter().chain(others).collect();
        let mut layout = Layout::default();
        let state = State {
            page: Matrix::UNIT,
            font: None,
            size: 1.0,
            leading: 0.0,
            letter_gap: 0.0,
            word_gap: 0.0,
            stretch: 1.0,
            rise: 0.0,
        };
        self.run(&content, &fonts, &resources, state, &mut layout, 0)?;
        self.known += layout.known;
        self.unknown += layout.unknown;
        Ok(layout.into_text())
    }

    fn font(&mut self, name: &[u8], fonts: &Fonts<'a>) -> Result<Option<Rc<Font<'a>>>> {
        let Some(dictionary) = fonts.get(name).copied() else { return Ok(None) };
        if let Some(font) = self.fonts.get(&std::ptr::from_ref(dictionary)) {
            return Ok(font.clone());
        }
        let font = Some(Rc::new(Font::read(dictionary, self.file).map_err(wrong)?));
        self.fonts.insert(std::ptr::from_ref(dictionary), font.clone());
        Ok(font)
    }

    fn run(
        &mut self,
        content: &[u8],
        fonts: &Fonts<'a>,
        resources: &[&'a Dictionary],
        mut state: State<'a>,
        layout: &mut Layout,
        depth: usize,
    ) -> Result<()> {
        let mut kept: Vec<State<'a>> = Vec::new();
        let (mut text, mut line) = (Matrix::UNIT, Matrix::UNIT);
        // what comes after an instruction that cannot be read is lost with it
        for operation in Content::decode_iter(content).map_while(std::result::Result::ok) {
            self.left =
                self.left.checked_sub(1).ok_or_else(|| refused("has more instructions than are read"))?;
            let Operation { operator, operands } = operation;
            let at = |place: usize| operands.get(place).and_then(number);
            match operator.as_str() {
                "q" if kept.len() < MAX_STATES => kept.push(state.clone()),
                "Q" => state = kept.pop().unwrap_or(state),
                "cm" => state.page = matrix(&operands).then(state.page),
                "BT" => (text, line) = (Matrix::UNIT, Matrix::UNIT),
                "Tf" => {
                    if let Some(Ok(name)) = operands.first().map(Object::as_name) {
                        state.font = self.font(name, fonts)?;
                    }
                    state.size = at(1).unwrap_or(state.size);
                }
                "Tm" => (text, line) = (matrix(&operands), matrix(&operands)),
                "TL" => state.leading = at(0).unwrap_or_default(),
                "Tc" => state.letter_gap = at(0).unwrap_or_default(),
                "Tw" => state.word_gap = at(0).unwrap_or_default(),
                "Tz" => state.stretch = at(0).unwrap_or(100.0) / 100.0,
                "Ts" => state.rise = at(0).unwrap_or_default(),
                "Td" | "TD" | "T*" | "'" | "\"" => {
                    let (x, y) = match operator.as_str() {
                        "Td" | "TD" => (at(0).unwrap_or_default(), at(1).unwrap_or_default()),
                        _ => (0.0, -state.leading),
                    };
                    if operator == "TD" {
                        state.leading = -y;
                    }
                    line = Matrix::shift(x, y).then(line);
                    text = line;
                    if matches!(operator.as_str(), "'" | "\"")
                        && let Some(Ok(bytes)) = operands.last().map(Object::as_str)
                    {
                        show(bytes, &state, &mut text, layout);
                    }
                }
                "Tj" => {
                    if let Some(Ok(bytes)) = operands.first().map(Object::as_str) {
                        show(bytes, &state, &mut text, layout);
                    }
                }
                "TJ" => {
                    let parts = operands.first().and_then(|parts| parts.as_array().ok()).map(Vec::as_slice);
                    for part in parts.unwrap_or_default() {
                        if let Ok(bytes) = part.as_str() {
                            show(bytes, &state, &mut text, layout);
                        } else if let Some(back) = number(part) {
                            let x = -back / 1_000.0 * state.size * state.stretch;
                            text = Matrix::shift(x, 0.0).then(text);
                        }
                    }
                }
                "Do" if depth < MAX_FORMS => {
                    if let Some(Ok(name)) = operands.first().map(Object::as_name) {
                        self.form(name, fonts, resources, &state, layout, depth)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Runs the instructions of a form that stands in a page.
    fn form(
        &mut self,
        name: &[u8],
        fonts: &Fonts<'a>,
        resources: &[&'a Dictionary],
        state: &State<'a>,
        layout: &mut Layout,
        depth: usize,
    ) -> Result<()> {
        let file = self.file;
        let find = |resources: &&'a Dictionary| {
            let objects = resources.get_deref(b"XObject", file).ok()?.as_dict().ok()?;
            objects.get_deref(name, file).ok()?.as_stream().ok()
        };
        let Some(form) = resources.iter().find_map(find) else { return Ok(()) };
        if !form.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Form") {
            return Ok(());
        }
        let content = match form.get_plain_content_with_limit(PdfLoader::MAX_PAGE_BYTES) {
            Ok(content) => content,
            Err(error @ lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
                return Err(wrong(error));
            }
            Err(_) => return Ok(()),
        };
        // a form costs as well where nothing is in it
        self.left = self.left.saturating_sub(FORM + content.len() / 64);
        let mut state = state.clone();
        if let Ok(numbers) = form.dict.get_deref(b"Matrix", file).and_then(|matrix| matrix.as_array()) {
            state.page = matrix(numbers).then(state.page);
        }
        let Ok(own) = form.dict.get_deref(b"Resources", file).and_then(|own| own.as_dict()) else {
            return self.run(&content, fonts, resources, state, layout, depth + 1);
        };
        let named = own.get_deref(b"Font", file).and_then(|fonts| fonts.as_dict());
        let named = named.into_iter().flat_map(|fonts| fonts.iter());
        let read = |(name, font): (&Vec<u8>, &'a Object)| {
            let (_, font) = file.dereference(font).ok()?;
            Some((name.clone(), font.as_dict().ok()?))
        };
        let fonts: Fonts<'a> = named.filter_map(read).collect();
        self.run(&content, &fonts, &[own], state, layout, depth + 1)
    }
}

fn matrix(operands: &[Object]) -> Matrix {
    let mut matrix = Matrix::UNIT;
    if operands.len() == 6 {
        for (to, from) in matrix.0.iter_mut().zip(operands) {
            *to = number(from).unwrap_or_default();
        }
    }
    matrix
}

fn show(bytes: &[u8], state: &State<'_>, text: &mut Matrix, layout: &mut Layout) {
    let Some(font) = &state.font else { return };
    let (width, codes, spaces) = font.width(bytes);
    #[expect(clippy::cast_precision_loss, reason = "counts of letters in a line")]
    let gaps = codes as f32 * state.letter_gap + spaces as f32 * state.word_gap;
    let raised = Matrix::shift(0.0, state.rise);
    let from = raised.then(*text).then(state.page);
    *text = Matrix::shift((width / 1_000.0 * state.size + gaps) * state.stretch, 0.0).then(*text);
    let to = raised.then(*text).then(state.page);
    layout.add(&font.text(bytes), from.origin(), to.origin(), from.height() * state.size.abs());
}
