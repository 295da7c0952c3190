//! Documents from HTML.

use std::time::{Duration, Instant};

use pumasi_rag::chunk::Chunker;
use pumasi_rag::document::HtmlLoader;
use pumasi_rag::{Document, ErrorKind, Format, StructureChunker};

fn load(page: &str) -> Document {
    HtmlLoader::new().load("page", page.as_bytes()).unwrap()
}

const ARTICLE: &str = r#"<!DOCTYPE html><html lang="ko"><head><meta charset="utf-8"><title> 부상 안내 &amp; 회복
</title><meta name="author" content="김코치"><meta property="og:description" content="무릎이 아플 때"><link rel="canonical"
href="https://club.example/knee"><style>p { color: red }</style><script>var a = "<p>not this</p>";</script></head><body>
<header><a href="/">홈</a> 러닝크루</header><nav><ul><li>메뉴 하나<li>메뉴 둘</ul></nav>
<main><article><header><h1>무릎 <em>통증</em></h1></header><p>통증이&nbsp;있으면 <b>사흘</b>은 쉽니다.<br>얼음찜질을 합니다.
<h2>다시 달리기</h2><ol><li>걷기<li><p>1분씩 번갈아<ul><li>천천히</ul></ol>
<table><tr><th>주<th>거리<tr><td>1<td>3 km<tr><td>2<td>5 | 6 km</table>
<pre>걷기  1분
달리기 1분</pre><p># 표가 아님<div hidden>안 <div>보</div>임</div><div aria-hidden="true">안 보임</div><button>누르기</button></article></main>
<footer>저작권</footer></body></html>"#;

#[test]
fn a_page_becomes_its_content_under_its_headings() {
    let document = load(ARTICLE);
    assert_eq!(
        document.text,
        "# 무릎 통증\n\n통증이 있으면 사흘은 쉽니다.\n얼음찜질을 합니다.\n\n## 다시 달리기\n\n1. 걷기\n2. 1분씩 번갈아\n  - 천천히\n\n\
         | 주 | 거리 |\n|---|---|\n| 1 | 3 km |\n| 2 | 5 \\| 6 km |\n\n```\n걷기  1분\n달리기 1분\n```\n\n\\# 표가 아님\n"
    );
    assert_eq!((document.title.as_str(), document.format), ("부상 안내 & 회복", Format::Markdown));
    assert_eq!(document.uri.as_deref(), Some("https://club.example/knee"));
    assert_eq!(document.metadata["author"], "김코치");
    assert_eq!(document.metadata["language"], "ko");
    assert_eq!(document.metadata["description"], "무릎이 아플 때");

    let sections = StructureChunker::new().chunk(&document).unwrap();
    let headings: Vec<&[String]> = sections.iter().map(|section| section.headings.as_slice()).collect();
    assert_eq!(headings, [vec!["무릎 통증"], vec!["무릎 통증", "다시 달리기"]]);
    // every span is of the text that was taken out
    for section in &sections {
        for chunk in &section.chunks {
            assert!(document.text.contains(chunk.of(&document.text)) && !chunk.of(&document.text).is_empty());
        }
    }
    assert!(sections[0].chunks[0].of(&document.text).starts_with("통증이 있으면"));
}

#[test]
fn what_is_around_the_content_is_read_only_where_there_is_nothing_else() {
    assert_eq!(load("<nav>Home</nav><p>Rest.<footer>Imprint</footer>").text, "Rest.\n");
    assert_eq!(load("<nav>Home <a>News</a></nav>").text, "Home News\n");
    assert_eq!(
        load("<div id=gnb><ul><li>메뉴</ul><div>더</div></div><div class='wrap Sidebar'>옆</div><div><p>본문</div><div id=footer>끝</div>").text,
        "본문\n"
    );
    assert_eq!(load("<div class=nav>Only this</div>").text, "Only this\n");
    assert_eq!(load("<p>Outside</p><main><p>Inside</main>").text, "Inside\n");
    assert_eq!(load("<div>Just <span>words</span>").text, "Just words\n");
    assert_eq!(load("no tags &amp; all").text, "no tags & all\n");
    assert_eq!(load("<title>T</title><p>x").title, "T");
    assert_eq!(load("<h2>First</h2>x").title, "First");
    assert_eq!(load("<h2>First <a href=#first>¶</a></h2>x").text, "## First\n\nx\n");
}

#[test]
fn a_page_in_a_form_beside_a_card_or_after_a_picture_is_not_lost() {
    let body =
        "<h1>무릎</h1><p>통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다. 무릎이 부으면 병원에 갑니다.</p>";
    let text = "# 무릎\n\n통증이 있으면 사흘 쉽니다. 그다음 20분을 걷습니다. 무릎이 부으면 병원에 갑니다.\n";
    let around =
        format!("<a href=#c>본문으로</a><form method=post><nav>홈</nav><div id=c>{body}</div></form>");
    assert_eq!(load(&around).text, format!("본문으로\n\n{text}"));
    let within = format!("<a href=#c>본문으로</a><form><main>{body}</main></form>");
    assert_eq!(load(&within).text, text);
    let beside = format!("{body}<form><label>이름</label> <input></form>");
    assert_eq!(load(&beside).text, text);
    let card = format!("<div>{body}</div><article class=card><p>새 신발</article>");
    assert_eq!(load(&card).text, format!("{text}\n새 신발\n"));
    let news = format!("<div>지난 소식</div><article>{body}</article><div>다음 소식</div>");
    assert_eq!(load(&news).text, text);
    for open in ["<svg><path d=x>", "<svg><g><title>t</title>", "<math><svg>"] {
        assert_eq!(load(&format!("{open}{body}")).text, text, "{open}");
    }
    let label = "<svg><foreignObject><div>label</div></foreignObject><text>b</text></svg>";
    assert_eq!(load(&format!("{body}{label}")).text, text);
    assert_eq!(load("<p>a<svg><text>b</text><style>c</style></svg>d").text, "a\n\nd\n");
}

#[test]
fn headings_keep_what_looks_like_a_tag() {
    let page = load("<h1>Vec&lt;String&gt; &amp;amp; A &amp; B &lt; C:\\*</h1><p>x");
    assert_eq!(page.title, "Vec<String> &amp; A & B < C:\\*");
    let sections = StructureChunker::new().chunk(&page).unwrap();
    assert_eq!(sections[0].headings, ["Vec<String> &amp; A & B < C:\\*"], "{}", page.text);
}

#[test]
fn headings_with_brackets_are_no_links() {
    let page = load("<h2>Use a[i](j) here</h2><p>몸");
    let sections = StructureChunker::new().chunk(&page).unwrap();
    assert_eq!(sections[0].headings, ["Use a[i](j) here"], "{}", page.text);
}

#[test]
fn numbers_stay_what_they_are() {
    let page = "<p>10<sup>3</sup> m<sup>2</sup>, 10<sup>-3</sup>, the 1<sup>st</sup> of H<sub>2</sub>O; <del>30,000</del> <ins>20,000</ins> won\
                <p>after <s>an end that was forgotten<p>the next<ol start=5><li>다섯<li>여섯</ol>";
    let text = "10^3 m2, 10^-3, the 1st of H2O; 20,000 won\n\nafter\n\nthe next\n\n5. 다섯\n6. 여섯\n";
    assert_eq!(load(page).text, text);
}

#[test]
fn what_is_hidden_is_not_read_and_hides_nothing_after_it() {
    let page = "<p hidden>a<b>b</b><p>둘<p aria-hidden=true>c</p>셋<ul><li style='color:red; Display : none !important'>d<li>넷</ul>\
                <table><tr><td hidden>e<td>다섯<tr hidden><td>f<td>g<tr><td>여섯<td>일곱</table><div style='visibility:hidden'>h</div>\
                <dl><dt hidden>i<dd>여덟</dl><p>끝";
    let text = load(page).text;
    for hidden in 'a'..='i' {
        assert!(!text.contains(hidden), "{text}");
    }
    for shown in ["둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "끝"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let page = "<p hidden>a<br>b<button>c</button>d</p>하나<li style='display:none'>e<ul><li>f</ul>g</li><li>둘</li>\
                <table><tr hidden><td><ul><li>h</ul>i</td></tr><tr><td hidden><table><tr><td>a</table>b<td>셋<td>넷</table>\
                <div><p hidden>c</div>다섯<menu><li hidden>d</menu>여섯<del><p>e</p><p>f</p></del>일곱\
                <h2><a aria-hidden=true href=#x>g</a>여덟</h2><p>하루 <span style='display:none'>h</span>2번";
    let text = load(page).text;
    for hidden in 'a'..='i' {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    for shown in ["하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "## 여덟", "하루 2번"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert_eq!(load("<ol start=18446744073709551615><li>x</ol>").text, "1. x\n");
    let page = "<link rel=canonical href='httpjavascript:alert(1)'><p>몸";
    assert_eq!(load(page).uri, None);
}

#[test]
fn answers_that_are_folded_away_are_read() {
    let page = "<details><summary>언제 뛰나요?</summary><p>화요일 저녁입니다.</details>\
                <details open><summary>비가 오면?</summary>실내에서 뜁니다.</details>\
                <h3>How much is it?</h3><div hidden=until-found><p>Nothing.</div><h3>Where?</h3><section hidden='Until-Found'>At the bridge.</section>\
                <h3>When?</h3><div hidden=hidden>never</div>";
    let text = load(page).text;
    for shown in
        ["언제 뛰나요?", "화요일 저녁입니다.", "실내에서 뜁니다.", "Nothing.", "At the bridge.", "When?"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("never"), "{text}");
}

#[test]
fn tables_that_lay_out_a_page_are_no_tables() {
    let page = "<table><tr><td>왼쪽<td><h1>무릎</h1><p>쉽니다.</p><p>걷습니다.</p><table><tr><td>a<td>b<tr><td>c<td>d</table></table>";
    assert_eq!(
        load(page).text,
        "왼쪽\n\n# 무릎\n\n쉽니다.\n\n걷습니다.\n\n| a | b |\n|---|---|\n| c | d |\n"
    );
    assert_eq!(
        load("<table><tr><td><p>a</p><td><p>b</p><tr><td>c<td>d</table>").text,
        "| a | b |\n|---|---|\n| c | d |\n"
    );
}

#[test]
fn text_that_looks_like_markdown_is_text() {
    let page =
        "<p># no heading<p>&lt;div&gt;<p>```<p>a<br>---<p>| b<pre>```\n# code\n```</pre><h2>yes #</h2><p>end";
    let document = load(page);
    let sections = StructureChunker::new().chunk(&document).unwrap();
    let headings: Vec<&[String]> = sections.iter().map(|section| section.headings.as_slice()).collect();
    assert_eq!(headings, [vec![], vec!["yes"]], "{}", document.text);
}

#[test]
fn pages_are_read_in_the_encoding_they_are_in() {
    let (korean, _, _) = encoding_rs::EUC_KR.encode("<p>무릎이 아프면 뷁 쉽니다.");
    let expected = "무릎이 아프면 뷁 쉽니다.\n";
    let loader = HtmlLoader::new();
    let text = |loader: &HtmlLoader, bytes: &[u8]| loader.load("page", bytes).unwrap().text;
    for (told, page) in [
        (Some("text/html; charset=EUC-KR"), korean.to_vec()),
        (Some("text/html; charset=\"ks_c_5601-1987\""), korean.to_vec()),
        (None, [b"<meta charset=cp949>".as_slice(), &korean].concat()),
        (
            None,
            [b"<meta http-equiv=Content-Type content='text/html; charset=euc-kr'>".as_slice(), &korean]
                .concat(),
        ),
        // nothing is said, or what is wrong
        (None, korean.to_vec()),
        (Some("text/html; charset=utf-8"), korean.to_vec()),
        (
            Some("text/html; charset=euc-kr"),
            [b"\xEF\xBB\xBF".as_slice(), "<p>무릎이 아프면 뷁 쉽니다.".as_bytes()].concat(),
        ),
        (None, "<meta charset=euc-kr><p>무릎이 아프면 뷁 쉽니다.".as_bytes().to_vec()),
    ] {
        let loader = told.map_or_else(HtmlLoader::new, |told| HtmlLoader::new().with_content_type(told));
        assert_eq!(text(&loader, &page), expected, "{told:?}");
    }
    let utf16: Vec<u8> = "\u{FEFF}<p>무릎".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(text(&loader, &utf16), "무릎\n");
    // one broken character in thousands is left out, also where nothing is said
    let old = [korean.repeat(200).as_slice(), b"\xFF"].concat();
    assert!(text(&loader, &old).ends_with("뷁 쉽니다.\n"));
    let long = "<p>무릎이 아프면 쉽니다. ".repeat(200);
    let broken = [long.as_bytes(), b"\xFF", "끝".as_bytes()].concat();
    assert!(!text(&loader, &broken).contains('\u{FFFD}'));
}

#[test]
fn what_is_no_page_is_refused_by_kind() {
    let kind = |bytes: &[u8]| HtmlLoader::new().load("page", bytes).unwrap_err().kind();
    let long = vec![b'a'; HtmlLoader::MAX_BYTES + 1];
    let many = (0..700).fold(String::new(), |many, n| many + &format!(" a{n}=x"));
    for bad in [
        b"".as_slice(),
        b"   ",
        b"<script>only()</script>",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10",
        b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj\xFF\xFF\0\0",
        &[0xFF, 0x81].repeat(50),
        &long,
        format!("<p{many}>x").as_bytes(),
    ] {
        assert_eq!(kind(bad), ErrorKind::InvalidInput);
    }
    let odd = HtmlLoader::new().with_content_type("text/html; charset=klingon");
    assert_eq!(odd.load("page", &[b'x', 0xFF, 0x81]).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(odd.load("page", "무릎".as_bytes()).unwrap().text, "무릎\n", "a wrong name for what fits");
}

#[test]
fn hostile_pages_take_no_longer_than_their_length() {
    let deep = |tag: &str| format!("<{tag}>").repeat(20_000) + "무릎";
    let unclosed = "</nav>".repeat(20_000) + &"<ul><li>".repeat(10_000) + "x" + &"</ol>".repeat(20_000);
    for page in [
        deep("div"),
        deep("table><tr><td"),
        deep("ul><li"),
        deep("b"),
        deep("main"),
        "<main><table>".to_owned() + &"<ul>".repeat(10_000) + &"<td>a<p>b".repeat(10_000),
        unclosed,
        "<".repeat(100_000) + "x",
        "&".repeat(100_000),
        "<!--".repeat(20_000) + "x",
        format!("<p a=\"{}\">x", "' ".repeat(100_000)),
        "<table><tr>".to_owned() + &"<td>a".repeat(20_000) + &"<tr><td>b".repeat(20_000),
    ] {
        let started = Instant::now();
        let loaded = HtmlLoader::new().load("page", page.as_bytes());
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{took:?} for {}", &page[..20]);
        if let Ok(document) = loaded {
            assert!(document.text.len() <= page.len() * 4 + 100, "{} of {}", document.text.len(), page.len());
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn damaged_pages_are_read_or_refused_and_never_panic() {
    let cases =
        std::env::var("PUMASI_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000_u32);
    let mut random = super::mutate::Random::new(7);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..cases {
        let mut bytes = ARTICLE.as_bytes().to_vec();
        random.damage(&mut bytes, b"<>&\"'=/ \0\xFF!-");
        match HtmlLoader::new().load("page", &bytes) {
            Ok(document) => {
                assert!(
                    !document.text.contains('\u{FFFD}')
                        || bytes.windows(3).any(|window| window == b"\xEF\xBF\xBD")
                );
                StructureChunker::new().chunk(&document).unwrap();
                read += 1;
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported), "{error}");
                refused += 1;
            }
        }
    }
    println!("{cases} damaged pages: {read} read, {refused} refused");
}
