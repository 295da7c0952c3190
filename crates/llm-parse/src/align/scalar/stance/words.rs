//! The words by which a clause denies, asks, bounds or puts off what it names. A star stands for any ending, `\u{1}` for the thing.

pub(super) const IDIOMS: &[&str] = &[
    "no doubt",
    "의심의 여지가 없",
    "without a doubt",
    "without doubt",
    "beyond doubt",
    "beyond a doubt",
    "beyond any doubt",
    "without question",
    "no question",
    "not only",
    "nothing but",
    "no other than",
    "none other than",
    "no matter",
    "not surprisingly",
    "no mistake",
    "의심할 여지 없이",
    "의심의 여지 없이",
    "의심할 여지가 없",
    "틀림없",
    "다름 아닌",
    "다름아닌",
    "뿐만 아니라",
    "뿐 아니라",
    "뿐만아니라",
    "문제없",
    "falls under",
    "fall under",
    "comes under",
    "would be classified",
    "would be labelled",
    "would be labeled",
    "would be categorized",
    "would be considered",
    "would be described",
    "would be rated",
    "would be best described",
];

pub(super) const DENIALS: &[&str] = &[
    "not",
    "no",
    "never",
    "neither",
    "nor",
    "none",
    "cannot",
    "without",
    "hardly",
    "scarcely",
    "barely",
    "nowhere",
    "nothing",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "doesn't",
    "don't",
    "didn't",
    "won't",
    "wouldn't",
    "can't",
    "couldn't",
    "shouldn't",
    "ain't",
    "hasn't",
    "haven't",
    "isnt",
    "doesnt",
    "dont",
    "non",
    "wrong",
    "incorrect",
    "false",
    "untrue",
    "unlike",
    "except",
    "reject*",
    "refus*",
    "deny",
    "denied",
    "denying",
    "disprov*",
    "refut*",
    "dismiss*",
    "discard*",
    "disagree*",
    "contradict*",
    "avoid*",
    "exclude*",
    "excluding",
    "rule out",
    "rules out",
    "ruled out",
    "ruling out",
    "nobody",
    "no one",
    "absent",
    "absence of",
    "devoid of",
    "short of",
    "fails",
    "failed to",
    "lack",
    "lacks",
    "lacking",
    "opposite",
    "rather than",
    "instead of",
    "far from",
    "anything but",
    "everything but",
    "out of the question",
    "denies",
    "no longer",
    "nicht",
];

pub(super) const DENIALS_KO: &[&str] = &[
    "아니",
    "아닙",
    "아닌",
    "아님",
    "아녜",
    "아냐",
    "않",
    "못하",
    "못합",
    "못한",
    "못함",
    "없",
    "말고",
    "빼고",
    "제외",
    "반대",
    "틀렸",
    "틀린",
    "틀림",
    "잘못",
    "불가",
    "안됨",
    "안 됨",
    "안돼",
    "거짓",
    "보기 어렵",
    "보기는 어렵",
    "보기 힘들",
    "보기는 힘들",
    "말하기 어렵",
    "말하기는 어렵",
];

pub(super) const OPEN: &[&str] = &[
    "if",
    "whether",
    "either",
    "unless",
    "maybe",
    "perhaps",
    "possibly",
    "might",
    "could",
    "unclear",
    "doubt",
    "doubts",
    "doubtful",
    "wish",
    "used to be",
    "would have",
    "unsure",
    "uncertain",
    "between",
    "versus",
    "vs",
    "would be",
    "hesitate",
    "supposedly",
    "allegedly",
    "at least",
    "at most",
    "higher than",
    "lower than",
    "better than",
    "worse than",
    "less than",
    "more than",
    "above \u{1}",
    "below \u{1}",
    "under \u{1}",
    "over \u{1}",
    "up to",
    "minimum",
    "maximum",
    "or higher",
    "or lower",
    "or above",
    "or below",
    "or more",
    "or less",
    "or better",
    "or worse",
    "or greater",
    "and above",
    "and below",
    "and up",
    // in part, or not yet
    "almost \u{1}",
    "nearly \u{1}",
    "half \u{1}",
    "half-\u{1}",
    "partly \u{1}",
    "partially \u{1}",
    "pending \u{1}",
    "awaiting \u{1}",
    "will be",
    "yet to be",
    "still to be",
    "about to be",
    "going to be",
    "due to be",
    "needs to be",
    "need to be",
    "remains to be",
    "scheduled to be",
    "planned to be",
    "expected to be",
    "supposed to be",
    "set to be",
    "is to be",
    "waiting to be",
];

pub(super) const OPEN_KO: &[&str] = &[
    "인지",
    "일지",
    "혹은",
    "또는",
    "이거나",
    "거나",
    "아마",
    "만약",
    "라면",
    "일 수도",
    "것 같",
    "듯",
    "까요",
    "모르",
    "줄 알았",
];

/// Say of the label before them that it is a bound.
pub(super) const BOUNDS_KO: &[&str] =
    &["이상", "이하", "미만", "초과", "에서", "부터", "까지", "보다", "사이", "내지"];

/// Words of their own that make a bound of the label behind them, or a part.
pub(super) const BOUND_WORDS_KO: &[&str] = &["최소", "최대", "최소한", "적어도", "많아야", "기껏해야"];
pub(super) const PARTS_KO: &[&str] = &["거의", "반쯤", "절반", "일부", "부분"];

/// Right behind a label they say that it is still to come: 완료 예정, 승인 대기.
pub(super) const AWAITED_KO: &[&str] = &[
    "전", "이전", "직전", "예정", "대기", "필요", "요청", "신청", "계획", "임박", "목표", "검토", "심사",
    "진행", "절차", "과정",
];

/// Behind a label, as the last word that Korean says about it, they take it away.
pub(super) const LOSSES_KO: &[&str] = &[
    "오답", "오류", "결여", "부족", "부인", "배제", "기각", "반박", "거부", "거절", "철회", "무효", "미흡",
    "미달", "실패", "반려", "보류", "중단", "해제", "취소", "무리",
];

/// The same, where they need not be the last.
pub(super) const TURNS_KO: &[&str] =
    &["을 부정", "를 부정", "하기엔", "하기에는", "보기엔", "보기에는", "라기엔", "라기에는", "라기보다"];

/// Verbs and words that lead from a subject to what is named.
pub(super) const LINKS: &str = "\
    is are was were been it's that's this's seems seem appears appear looks sounds feels reads remains \
    remained stays becomes became proves proved turns turned equals call called as choose chose pick picked \
    select selected say answer assign assigned assigning belongs falls fits matches expresses conveys shows \
    indicates suggests leans skews must means reflects signals going went labelled labeled classified marked \
    rated rate label classify tagged set got has have gave gives leaves left provides concerns relates route \
    go goes seemed appeared express convey show leaning leaned";

/// Articles, pronouns and adverbs that say how much or how surely.
pub(super) const DEGREES: &str = "\
    a an the this that it one to been of as in with for into under out clearly definitely strongly \
    overwhelmingly mostly largely generally predominantly slightly moderately very highly extremely mildly \
    obviously certainly surely truly really absolutely completely totally fully entirely quite rather \
    somewhat fairly pretty distinctly decidedly undoubtedly undeniably unquestionably unmistakably \
    unambiguously explicitly evidently apparently actually finally ultimately therefore simply just still \
    now already currently also again consistently primarily mainly basically essentially purely genuinely \
    firmly officially successfully overall probably likely most best both all indeed considered classified \
    labelled labeled categorized categorised marked rated tagged described deemed regarded found set given \
    assigned judged wholly deeply so thus hence plainly exactly precisely correctly rightly properly by far \
    too then about related tone belongs falls fits here long well certain right correct true false even such \
    verified confirmed recorded known on at";

/// What leads to it without a verb.
pub(super) const LEADS: &str = "\
    i we i'd i'll we'd would go going say choose pick select my our its am and but answer answering short \
    summary sum up conclusion result case hence let me us yes ok okay sure based fact end general total \
    these those from i'm we're instead think believe option number no doubt not only nothing question matter \
    surprisingly everything considered things hand";

/// What a named label is, or is said of.
pub(super) const NOUNS: &str = "\
    answer label labels sentiment tone mood category class classification result verdict status state \
    priority level rating final output decision prediction conclusion review text option choice type kind \
    value field code tag emotion feeling feelings feedback experience opinion attitude response risk \
    severity issue request question ticket comment message post statement impression outlook language words \
    nature polarity stance grade score urgency quality order case one team department topic intent item side \
    end manner light way customer user reviewer author";

/// Before it in a sentence, they may make hearsay, a part, a wish or a past of what is named.
pub(super) const BENT: &str = "\
    options choices candidates possibilities few fewer some half several had once when whenever until till \
    before after soon later formerly previously originally initially sometimes occasionally rarely seldom \
    usually unlikely improbable revoked retracted overruled overturned pretends pretend pretending pretended \
    wants want wanted hopes hope hoped wishes asked asks told trying tried mistakenly wrongly falsely \
    erroneously incorrectly unless potentially needs need awaiting waiting zero minus last least eliminate \
    eliminated used mislabelled mislabeled misclassified contrary opposed reverse opposite apart aside \
    besides other quasi pseudo fake 곧 조만간 내일 모레 나중에 향후 앞으로 한때 겉으로 겉으로는 겉으로만 \
    겉보기엔 겉보기에는 언뜻 얼핏 처음엔 처음에는 처음에 원래 원래는 당초 당초에는 애초 애초에는 만일 만약 \
    가짜 허위 자칭 소위 이른바 거짓 어제까지 최근까지 다음 오늘까지 제로 잠정 조건부 조건부로 잠정적으로 \
    일시적으로 가끔 때때로 이따금 드물게 간혹 previous prior old earlier bot \
    절반만 반만 덜 일부만";

/// They give another's word, unless they are a noun: "some claim", but "the claim".
pub(super) const HEARSAY: &str = "\
    says said claim claims claimed claiming alleges alleged insists insisted argue argues rumor rumors \
    rumour rumours people critics they somebody someone others many suppose supposed imagine assume assuming \
    expected predicted feared suspected reportedly purportedly ostensibly seemingly superficially \
    sarcastically ironically";

/// First syllables of words that put off what is named, or say that it is over.
pub(super) const PAST_KO: &str = "\
    과거 예전 이전엔 이전에는 한동안 옛날 지난날";

/// Behind it, they begin a reason.
pub(super) const REASONS: &str = "\
    because since as given due thanks considering based so which and that owing where who it this he she \
    they there i we you";

/// Behind it, they begin a phrase that says of what, where or how.
pub(super) const OPENERS: &str = "\
    for about toward towards regarding concerning with on to by in at over from across throughout per \
    according through of than";

/// Anywhere behind it, they put it off, limit it or take it back.
pub(super) const QUALIFIED: &str = "\
    soon tomorrow tonight later next yesterday monday tuesday wednesday thursday friday saturday sunday \
    until till when whenever once before if part surface first paper condition conditions hold reservations \
    mistake error accident default deadline eod then subject pending foot theory principle name appearance \
    revoked reopened removed expired overruled aside unlikely inappropriate off out improbable questionable \
    doubtful debatable risky impossible sarcastically ironically half week month cases low little";

/// Behind it, they say that it is right.
pub(super) const VERDICTS: &str = "\
    is was are seems fits fit applies wins matches works would be has been had were appears looks remains \
    stands makes sense appropriate suitable accurate clear evident obvious chosen selected included found \
    final i my match detected identified present valid winner beats better suits describes captures thank \
    please end today yes it's dominates prevails expressed conveyed intended meant sounds";

/// First syllables of the words that follow a label in Korean and leave it as it is.
pub(super) const NOUNS_KO: &str = "\
    분류 판단 판정 해당 가깝 가까 보입 보인 보여 보임 봅 본다 봄 보면 생각 됩니다 됨 되었 됐 된다 되어 되 \
    합니다 했 함 한다 하였 입니다 이다 임 리뷰 후기 의견 감정 평가 반응 내용 라벨 레이블 카테고리 태도 어조 \
    톤 글 문장 댓글 느낌 경향 성향 상태 결과 답은 답변 답입 답이 정답 확정 확실 확인 선택 채택 맞 적절 적합 \
    타당 옳 분명 명백 처리 결정 결론 추정 예측 것 수준 정도 알고 있습 있다 있음 있어 쪽 편 표현 나타 드러 강함 \
    강하 강한 우세 높 간주 여겨 여김 매우 기록 표시 가장 내리 내린 내렸 표기 등급 단계 항목 유형 범주 값 이유 \
    때문 왜냐 가능성 확률 신뢰도 메시지 문의 요소 면 분위기 뉘앙스 인상 말 사용 선언 이라고 라고 으로 로 건 \
    하겠 드립니다 답합 고릅 골랐 정했 지정 부여 매김 매겼 평 바뀜 바뀌 바뀐 변경 전환 개선";
