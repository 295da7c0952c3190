//! Documents from PDF.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use lopdf::{Dictionary, Object, Stream, dictionary};
use pumasi_rag::chunk::Chunker;
use pumasi_rag::document::PdfLoader;
use pumasi_rag::{ErrorKind, Format, StructureChunker};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents").join(name)).unwrap()
}

/// A file with one page of these instructions, in a font without widths.
fn written(content: &str, change: impl FnOnce(&mut lopdf::Document, &mut Dictionary)) -> Vec<u8> {
    let mut file = lopdf::Document::with_version("1.5");
    let pages = file.new_object_id();
    let font =
        file.add_object(dictionary! {"Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica"});
    let mut resources = dictionary! {"Font" => dictionary! {"F" => font}};
    change(&mut file, &mut resources);
    let mut stream = Stream::new(dictionary! {}, content.as_bytes().to_vec());
    stream.compress().unwrap();
    let content = file.add_object(stream);
    let page = file.add_object(
        dictionary! {"Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources},
    );
    let all = dictionary! {"Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1};
    file.objects.insert(pages, Object::Dictionary(all));
    let catalog = file.add_object(dictionary! {"Type" => "Catalog", "Pages" => pages});
    file.trailer.set("Root", catalog);
    let mut bytes = Vec::new();
    file.save_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_file_becomes_its_pages() {
    let document = PdfLoader::new().load("guide", &file("korean.pdf")).unwrap();
    assert_eq!((document.title.as_str(), document.format), ("부상 안내", Format::Plain));
    assert_eq!(
        (&document.metadata["author"], &document.metadata["pages"]),
        (&"Running Club".into(), &2.into())
    );
    let pages: Vec<&str> = document.text.split('\u{c}').collect();
    assert_eq!(pages.len(), 2);
    assert!(pages[0].starts_with("무릎 통증\n"), "{}", pages[0]);
    let first = pages[0].split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        first.contains("통증이 있으면 사흘은 달리기를 쉽니다. 얼음찜질은 하루 두 번, 15분씩 합니다. 걸을 때"),
        "{first}"
    );
    let second = pages[1].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(second, "Replace running shoes after 700 km. Rotate two pairs, so that the foam recovers.");

    let sections = StructureChunker::new().chunk(&document).unwrap();
    assert_eq!(sections[0].headings, ["p. 1"]);
    assert_eq!(sections[1].headings, ["p. 2"]);
    let chunk = sections[1].chunks[0];
    assert!(chunk.of(&document.text).starts_with("Replace running shoes"));
}

#[test]
fn a_raised_digit_is_no_further_one_of_its_number() {
    let no_change = |_: &mut lopdf::Document, _: &mut Dictionary| {};
    for raised in ["5 Ts /F 6 Tf (3) Tj 0 Ts /F 10 Tf", "/F 6 Tf 0 4 Td (3) Tj /F 10 Tf 0 -4 Td"] {
        let content = format!("BT /F 10 Tf 50 700 Td (About 10) Tj {raised} ( cells.) Tj ET");
        let text = PdfLoader::new().load("a", &written(&content, no_change)).unwrap().text;
        assert!(!text.contains("103") && !text.contains("10\n3"), "{text}");
    }
}

#[test]
fn what_a_browser_prints_is_read_as_it_was() {
    let document = PdfLoader::new().load("shoes", &file("chromium.pdf")).unwrap();
    let text = document.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        text,
        "러닝화 고르기 러닝화는 700km를 달리면 바꿉니다. 두 켤레를 번갈아 신으면 더 오래 갑니다. Replace running shoes after 700 km."
    );
}

#[test]
fn a_file_that_is_locked_needs_its_password() {
    let locked = file("locked.pdf");
    for loader in [PdfLoader::new(), PdfLoader::new().with_password("wrong")] {
        assert_eq!(loader.load("a", &locked).unwrap_err().kind(), ErrorKind::Unauthorized);
        assert!(!format!("{loader:?}").contains("wrong"));
    }
    let plain = PdfLoader::new().load("a", &file("korean.pdf")).unwrap();
    let opened = PdfLoader::new().with_password("open").load("a", &locked).unwrap();
    assert_eq!(opened.text, plain.text);
    let owned = PdfLoader::new().load("a", &file("owner.pdf")).unwrap();
    assert_eq!(owned.text, plain.text, "the owner forbids changes, not reading");
}

#[test]
fn words_and_lines_are_put_together_by_where_they_stand() {
    let content = "BT /F 10 Tf 50 700 Td [(Rest) -300 (three) 20 (days.)] TJ 0 -12 Td (Then walk.) Tj 0 -40 Td (Shoes) Tj ET \
                   q 1 0 0 1 0 100 cm BT /F 10 Tf 50 500 Td (Moved) Tj ET Q /Form Do";
    let bytes = written(content, |file, resources| {
        let form = dictionary! {"Type" => "XObject", "Subtype" => "Form", "BBox" => vec![0.into(), 0.into(), 9.into(), 9.into()]};
        let form = file.add_object(Stream::new(form, b"BT /F 10 Tf 50 400 Td (In a form) Tj ET".to_vec()));
        resources.set("XObject", dictionary! {"Form" => form});
    });
    let document = PdfLoader::new().load("a", &bytes).unwrap();
    assert_eq!(document.text, "Rest threedays.\nThen walk.\n\nShoes\n\nMoved\n\nIn a form");
}

#[test]
fn korean_fonts_without_a_map_of_letters_are_read_by_their_encoding() {
    let (bytes, _, _) = encoding_rs::EUC_KR.encode("무릎");
    let hexadecimal = bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02X}"));
    let utf16 = "통증".encode_utf16().fold(String::new(), |all, unit| all + &format!("{unit:04X}"));
    let content = format!("BT /K 10 Tf 50 700 Td <{hexadecimal}> Tj /U 10 Tf 0 -12 Td <{utf16}> Tj ET");
    let bytes = written(&content, |file, resources| {
        let mut add = |encoding: &str| {
            let inner = dictionary! {"Type" => "Font", "Subtype" => "CIDFontType0", "BaseFont" => "Batang"};
            let inner = file.add_object(inner);
            let font = dictionary! {"Type" => "Font", "Subtype" => "Type0", "BaseFont" => "Batang",
            "Encoding" => Object::Name(encoding.as_bytes().to_vec()), "DescendantFonts" => vec![inner.into()]};
            file.add_object(font)
        };
        let (ksc, unicode) = (add("KSCms-UHC-H"), add("UniKS-UCS2-H"));
        resources.set("Font", dictionary! {"K" => ksc, "U" => unicode});
    });
    assert_eq!(PdfLoader::new().load("a", &bytes).unwrap().text, "무릎\n통증");
}

#[test]
fn what_cannot_be_read_is_refused_by_kind() {
    let kind = |bytes: &[u8]| PdfLoader::new().load("a", bytes).unwrap_err().kind();
    let whole = file("korean.pdf");
    for bad in [b"".as_slice(), b"<html>", &[0; 4_096], b"%PDF-1.7", b"%PDF-1.7\n%%EOF", &whole[..200]] {
        assert_eq!(kind(bad), ErrorKind::InvalidInput);
    }
    assert_eq!(kind(&vec![b' '; PdfLoader::MAX_BYTES + 1]), ErrorKind::InvalidInput);
    assert_eq!(
        kind(&written("0 0 m 9 9 l S", |_, _| {})),
        ErrorKind::Unsupported,
        "a page that is a picture"
    );
    let nameless = written("BT /K 10 Tf 50 700 Td <00010002> Tj ET", |file, resources| {
        let font = dictionary! {"Type" => "Font", "Subtype" => "Type0", "BaseFont" => "X", "Encoding" => "Identity-H"};
        let font = file.add_object(font);
        resources.set("Font", dictionary! {"K" => font});
    });
    assert_eq!(kind(&nameless), ErrorKind::Unsupported, "a font that does not name its letters");
}

/// A file of pages that say their number, all in one tree of this many levels.
fn of_pages(count: usize, levels: usize) -> Vec<u8> {
    let mut file = lopdf::Document::with_version("1.5");
    let font = dictionary! {"Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica"};
    let font = file.add_object(font);
    let resources = file.add_object(dictionary! {"Font" => dictionary! {"F" => font}});
    let mut node = file.new_object_id();
    let mut kids: Vec<Object> = Vec::new();
    for number in 1..=count {
        let content = format!("BT /F 10 Tf 50 700 Td (Rule {number} of the club.) Tj ET").into_bytes();
        let content = file.add_object(Stream::new(dictionary! {}, content));
        let page =
            dictionary! {"Type" => "Page", "Parent" => node, "Contents" => content, "Resources" => resources};
        kids.push(file.add_object(page).into());
    }
    for _ in 0..levels {
        let parent = file.new_object_id();
        let pages = dictionary! {"Type" => "Pages", "Kids" => kids, "Count" => i64::try_from(count).unwrap(), "Parent" => parent};
        file.objects.insert(node, Object::Dictionary(pages));
        kids = vec![node.into()];
        node = parent;
    }
    let root = dictionary! {"Type" => "Pages", "Kids" => kids, "Count" => i64::try_from(count).unwrap()};
    file.objects.insert(node, Object::Dictionary(root));
    let catalog = file.add_object(dictionary! {"Type" => "Catalog", "Pages" => node});
    file.trailer.set("Root", catalog);
    let mut bytes = Vec::new();
    file.save_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn ten_thousand_pages_are_read_one_by_one() {
    let started = Instant::now();
    let document = PdfLoader::new().load("rules", &of_pages(10_000, 1)).unwrap();
    assert_eq!(document.metadata["pages"], serde_json::Value::from(10_000));
    assert!(document.text.ends_with("\u{c}Rule 10000 of the club."));
    let sections = StructureChunker::new().chunk(&document).unwrap();
    let last = sections.last().unwrap();
    assert_eq!((last.headings.as_slice(), last.chunks.len()), (["p. 10000".to_owned()].as_slice(), 1));
    assert_eq!(last.chunks[0].of(&document.text), "Rule 10000 of the club.");
    assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
}

#[test]
fn what_is_nested_without_end_is_refused_or_read_and_ends_nobody() {
    // on a thread with as little room as a runtime's own have
    let load = |bytes: Vec<u8>| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread
            .spawn(move || PdfLoader::new().load("deep", &bytes).map(|document| document.text))
            .unwrap()
            .join()
            .unwrap()
    };
    let _ = load(of_pages(1, 20_000));
    let deep = |open: &str, close: &str| open.repeat(20_000) + &close.repeat(20_000);
    for inside in
        [deep("[", "]"), deep("<</A", ">>"), deep("(", ")"), "[".repeat(200_000), "<<".repeat(200_000)]
    {
        let text = "BT /F 10 Tf 50 700 Td (Rest) Tj ET ";
        let _ = load(written(&format!("{text}{inside} TJ"), |_, _| {}));
        let object =
            format!("%PDF-1.5\n1 0 obj\n{inside}\nendobj\ntrailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF");
        assert_eq!(load(object.into_bytes()).unwrap_err().kind(), ErrorKind::InvalidInput);
        // in a file that is whole but for that
        let whole = file("korean.pdf");
        let at = whole.windows(6).position(|window| window == b"endobj").unwrap();
        let _ = load([&whole[..at], inside.as_bytes(), b"\n", &whole[at..]].concat());
    }
}

#[test]
fn files_that_unfold_without_end_are_refused() {
    let most = PdfLoader::MAX_PAGE_BYTES;
    let page = written(&"q Q ".repeat(most / 4 + 1), |_, _| {});
    // forms in forms, ten of each in the one before: 10^8 times the last
    let forms = written("/Form Do", |file, resources| {
        let text = b"BT /F 10 Tf 5 5 Td (knee knee knee) Tj ET ".repeat(10);
        let mut inner = file.add_object(Stream::new(dictionary! {"Subtype" => "Form"}, text));
        for _ in 0..8 {
            let own = dictionary! {"XObject" => dictionary! {"Form" => inner}};
            let form = dictionary! {"Subtype" => "Form", "Resources" => own};
            inner = file.add_object(Stream::new(form, b"/Form Do ".repeat(10)));
        }
        resources.set("XObject", dictionary! {"Form" => inner});
    });
    let own = written("/Form Do BT /F 10 Tf 5 5 Td (knee) Tj ET", |file, resources| {
        let id = file.new_object_id();
        let own = dictionary! {"XObject" => dictionary! {"Form" => id}};
        let form = Stream::new(dictionary! {"Subtype" => "Form", "Resources" => own}, b"/Form Do".to_vec());
        file.objects.insert(id, form.into());
        resources.set("XObject", dictionary! {"Form" => id});
    });
    for bomb in [&page, &forms] {
        let started = Instant::now();
        let error = PdfLoader::new().load("bomb", bomb);
        assert!(started.elapsed() < Duration::from_mins(5), "{:?}", started.elapsed());
        if let Err(error) = error {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }
    assert_eq!(PdfLoader::new().load("bomb", &page).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(PdfLoader::new().load("own", &own).unwrap().text, "knee", "a form that draws itself");
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn damaged_files_are_read_or_refused_and_never_panic() {
    let cases =
        std::env::var("PUMASI_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300_u32);
    let files = ["korean.pdf", "chromium.pdf", "locked.pdf"].map(file);
    let small = written("BT /F 10 Tf 50 700 Td (Rest) Tj ET", |_, _| {});
    let mut random = super::mutate::Random::new(11);
    let (mut read, mut refused, mut slowest) = (0, BTreeMap::<String, u32>::new(), Duration::ZERO);
    for _ in 0..cases {
        let which = random.below(8);
        let mut bytes = files.get(which).unwrap_or(&small).clone();
        random.damage(&mut bytes, b"<>[]()/ 0129Robjend\0\xFF");
        let started = Instant::now();
        match PdfLoader::new().load("a", &bytes) {
            Ok(document) => {
                assert!(!document.text.contains('\u{FFFD}'));
                StructureChunker::new().chunk(&document).unwrap();
                read += 1;
            }
            Err(error) => *refused.entry(error.kind().to_string()).or_default() += 1,
        }
        slowest = slowest.max(started.elapsed());
    }
    println!("{cases} damaged files: {read} read, refused as {refused:?}, the slowest {slowest:?}");
    assert!(slowest < Duration::from_mins(1) && !refused.contains_key("other"));
}
