use pumasi_rag::document::TextLoader;
use pumasi_rag::{ErrorKind, Format};

const TEXT: &str = "무릎이 아프면 뷁 쉽니다.";

#[test]
fn texts_are_read_in_the_encoding_they_are_in() {
    let (korean, _, _) = encoding_rs::EUC_KR.encode(TEXT);
    let utf16 = |bytes: fn(u16) -> [u8; 2]| {
        format!("\u{FEFF}{TEXT}").encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
    };
    let marked = format!("\u{FEFF}{TEXT}").into_bytes();
    for (told, bytes) in [
        (None, TEXT.as_bytes().to_vec()),
        (None, marked.clone()),
        (None, utf16(u16::to_le_bytes)),
        (None, utf16(u16::to_be_bytes)),
        (None, korean.to_vec()),
        (Some("text/plain; charset=euc-kr"), korean.to_vec()),
        (Some("text/plain; charset=CP949"), korean.to_vec()),
        (Some("text/plain; charset=utf-8"), korean.to_vec()),
        (Some("text/plain; charset=euc-kr"), marked),
    ] {
        let loader = told.map_or_else(TextLoader::new, |told| TextLoader::new().with_content_type(told));
        assert_eq!(loader.load("a", &bytes).unwrap().text, TEXT, "{told:?} {bytes:?}");
    }
    // a text says nothing of itself
    let said = "<meta charset=euc-kr> 무릎";
    assert_eq!(TextLoader::new().load("a", said.as_bytes()).unwrap().text, said);
    let document = TextLoader::markdown().load("a", b"# Knee\n\nRest.").unwrap();
    assert_eq!((document.format, document.id.as_str()), (Format::Markdown, "a"));
}

#[test]
fn texts_of_a_wrong_label_or_of_none_are_read_where_their_bytes_tell_what_they_are() {
    let japanese = "走る前に水を飲みます。膝が痛いときは休みます。";
    let french = "L'été, buvez de l'eau. Après la course, étirez-vous.";
    let encoded = |encoding: &'static encoding_rs::Encoding, text: &str| encoding.encode(text).0.into_owned();
    let latin = Some("text/plain; charset=iso-8859-1");
    for (told, bytes, text) in [
        (latin, TEXT.as_bytes().to_vec(), TEXT),
        (latin, french.as_bytes().to_vec(), french),
        (latin, encoded(encoding_rs::EUC_KR, TEXT), TEXT),
        (latin, encoded(encoding_rs::WINDOWS_1252, french), french),
        (None, encoded(encoding_rs::WINDOWS_1252, french), french),
        (None, encoded(encoding_rs::SHIFT_JIS, japanese), japanese),
        (None, encoded(encoding_rs::EUC_JP, japanese), japanese),
        (None, encoded(encoding_rs::EUC_KR, "무릎"), "무릎"),
        (Some("text/plain; charset=shift_jis"), encoded(encoding_rs::SHIFT_JIS, japanese), japanese),
        (Some("text/plain; charset=euc-kr"), TEXT.as_bytes().to_vec(), TEXT),
        (Some("text/plain; charset=x-user-defined"), encoded(encoding_rs::EUC_KR, TEXT), TEXT),
        (Some("text/plain; charset=iso-2022-kr"), TEXT.as_bytes().to_vec(), TEXT),
    ] {
        let loader = told.map_or_else(TextLoader::new, |told| TextLoader::new().with_content_type(told));
        assert_eq!(loader.load("a", &bytes).unwrap().text, text, "{told:?}");
    }
    let mut broken = TEXT.as_bytes().to_vec();
    broken.truncate(broken.len() - 2);
    broken.splice(3..5, []);
    let unread = TextLoader::new().with_content_type("text/plain; charset=iso-2022-kr").load("a", &broken);
    assert_eq!(unread.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn what_is_no_text_is_refused_by_kind() {
    let kind = |bytes: &[u8]| TextLoader::new().load("a", bytes).unwrap_err().kind();
    let long = vec![b'a'; TextLoader::MAX_BYTES + 1];
    let utf16: Vec<u8> = "no mark".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bad in [
        b"".as_slice(),
        b" \r\n",
        b"\xEF\xBB\xBF",
        b"\xFF\xFE",
        b"\0\0\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10",
        &[0xFF, 0x81].repeat(50),
        &utf16,
        &long,
    ] {
        assert_eq!(kind(bad), ErrorKind::InvalidInput, "{:?}", bad.get(..8));
    }
    let odd = TextLoader::new().with_content_type("text/plain; charset=klingon");
    assert_eq!(odd.load("a", &[b'x', 0xFF, 0x81]).unwrap_err().kind(), ErrorKind::Unsupported);
}
