"""The page of a node that has no configuration yet: what it shows, and what becomes of what is sent to it. Pure."""

import binascii
import json

from linli_node.errors import ConfigError

MAX_BODY = 16384
KINDS = ("reed", "leak_switch", "button", "pulse", "ds18b20", "pir", "float", "tilt")
KEYS = ("ca.der", "node.der", "node.key", "shared.key", "update.pub")

_TEXTS = {
    "en": {
        "title": "Linli node: first start",
        "node": "Name of the node",
        "ssid": "Wi-Fi",
        "password": "Its password",
        "host": "Address of the gateway",
        "file": "Provisioning file of the gateway",
        "paste": "or paste it here",
        "kind": "Or one sensor: kind",
        "pin": "Pin",
        "send": "Save",
        "away": "This Wi-Fi goes away after a quarter of an hour. RESET, or off and on, brings it back at once"
        " (Pico W: hold BOOTSEL for two seconds).",
        "wrong": "Nothing was saved. Please mend:",
        "there": "This board has a configuration that it cannot use. What you leave empty stays as it is."
        " What is wrong:",
        "done": "Saved. The node starts again and joins the Wi-Fi; this network goes away.",
        "secret": "it is kept to yourself here; write it again",
    },
    "zh": {
        "title": "邻里节点：首次启动",
        "node": "节点名称",
        "ssid": "Wi-Fi 名称",
        "password": "Wi-Fi 密码",
        "host": "网关地址",
        "file": "网关生成的配置文件",
        "paste": "或粘贴到这里",
        "kind": "或者只填一个传感器：类型",
        "pin": "引脚",
        "send": "保存",
        "away": "本 Wi-Fi 一刻钟后关闭。按 RESET 或断电再上电即可重新打开（Pico W：按住 BOOTSEL 两秒）。",
        "wrong": "没有保存。请改正：",
        "there": "这块板现有的配置不能用。留空的保持不变。原因：",
        "done": "已保存。节点将重新启动并连接 Wi-Fi，本网络随即关闭。",
        "secret": "此处不显示原文，请重新填写",
    },
}
_CHINESE = (
    ("cannot be read; write it again with: ", "无法读取；请重新生成："),
    ("no JSON; write it again with: ", "不是 JSON；请重新生成："),
    ("no JSON object; write it again with: ", "不是 JSON 对象；请重新生成："),
    ("unknown key; known here: ", "没有这一项；可用的有 "),
    ("unknown; known here: ", "没有这一项；可用的有 "),
    ("missing; add it", "缺少，请补上"),
    ("found nothing", "没有写"),
    ("found ", "写的是 "),
    ("; write ", "；应写 "),
    ("lower case, digits and hyphens, 63 at most", "小写字母、数字和连字符，最多 63 个"),
    ("true or false", "true 或 false"),
    ("an object", "一个对象"),
    ("one of ", "其中之一："),
    ("a list of ", "列表，项数 "),
    ("a text of ", "文本，字符数 "),
    ("a whole number from ", "整数，范围 "),
    ("a number from ", "数，范围 "),
    (" objects", ""),
    (" characters", ""),
    (" to ", "–"),
    (": it draws 15 mA all the time", "（它一直耗电 15 mA）"),
    (": a relay lets go while the node sleeps", "（节点休眠时继电器会释放）"),
    ("what was sent cannot be read", "发送的内容无法读取"),
    ("more than ", "发送的内容超过 "),
    (" bytes were sent", " 字节"),
)
"""What a mistake is told with, word by word: what checks a configuration speaks English, to save a board's flash."""
_STYLE = (
    "body{font:17px/1.5 sans-serif;margin:0 auto;max-width:30em;padding:1em}"
    "label{display:block;margin:.8em 0 .2em}"
    "input,select,textarea,button{box-sizing:border-box;font:inherit;width:100%;padding:.5em;border:1px solid #777;"
    "border-radius:.3em}button{margin-top:1.2em;background:#064;color:#fff}"
    ".wrong{background:#fdd;padding:.6em;white-space:pre-wrap;overflow-wrap:anywhere}"
)
_SCRIPT = "f.onchange=function(){var r=new FileReader();r.onload=function(){b.value=r.result};r.readAsText(f.files[0])}"


def language(header):
    """Return ``zh`` where a browser asks for it first, else ``en``."""
    return "zh" if header.strip().lower().startswith("zh") else "en"


def _translated(line):
    """Return a mistake in Chinese; what somebody wrote stays as it is."""
    place, colon, rest = line.partition(": ")
    if not colon:
        place, rest = "", line
    kept, end = "", rest.rfind("; write ")
    if rest.startswith("found ") and not rest.startswith("found nothing") and end > 0:
        kept, rest = rest[6:end].replace(" on a battery", "（用电池）"), "found \x00" + rest[end:]
    for english, chinese in _CHINESE:
        rest = rest.replace(english, chinese)
    return place + colon + rest.replace("\x00", kept)


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def page(lang, problems=(), kept=None, *, is_there=False):
    """Return the page in pieces.

    Args:
        lang: Its language.
        problems: What is wrong, in lines.
        kept: What was sent before, of which no secret is shown again.
        is_there: Whether that is what the board has, and not what was sent.
    """
    texts, kept = _TEXTS[lang], kept or {}
    yield '<!doctype html><html lang="' + lang + '"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><title>' + texts["title"] + "</title>"
    yield "<style>" + _STYLE + "</style><h1>" + texts["title"] + "</h1>"
    if problems:
        yield '<div class="wrong" role="alert">' + texts["there" if is_there else "wrong"]
        for line in problems:
            yield "\n" + _escaped(_translated(line) if lang == "zh" else line)
        yield "</div>"
    yield '<form method="post" action="/">'
    for name, kind in (("node", "text"), ("ssid", "text"), ("password", "password"), ("host", "text")):
        shown = "" if kind == "password" else _escaped(kept.get(name, ""))
        yield '<label for="' + name + '">' + texts[name] + '</label><input id="' + name + '" name="' + name
        yield '" type="' + kind + '" value="' + shown + '" autocapitalize="off" autocomplete="off">'
    yield '<label for="f">' + texts["file"] + '</label><input id="f" type="file">'
    yield '<label for="b">' + texts["paste"] + '</label><textarea id="b" name="bundle" rows="3"></textarea>'
    yield '<label for="kind">' + texts["kind"] + '</label><select id="kind" name="kind"><option></option>'
    for kind in KINDS:
        yield "<option" + (" selected" if kind == kept.get("kind") else "") + ">" + kind + "</option>"
    yield '</select><label for="pin">' + texts["pin"] + '</label><input id="pin" name="pin" inputmode="numeric" value="'
    yield _escaped(kept.get("pin", "")) + '"><button>' + texts["send"] + "</button></form><p>" + texts["away"] + "</p>"
    yield "<script>var f=document.getElementById('f'),b=document.getElementById('b');" + _SCRIPT + "</script>"


def done(lang):
    """Return the page that says that all is well."""
    texts = _TEXTS[lang]
    yield '<!doctype html><html lang="' + lang + '"><meta charset="utf-8"><meta name="viewport" content="width=device-'
    yield 'width"><title>' + texts["title"] + "</title><style>" + _STYLE + "</style><h1>" + texts["title"] + "</h1><p>"
    yield texts["done"] + "</p>"


def form(body):
    """Return the fields of a form (``application/x-www-form-urlencoded``); ``ValueError`` where it is none."""
    fields = {}
    for part in body.split(b"&"):
        if part:
            name, equals, value = part.partition(b"=")
            if not equals:
                raise ValueError("no form")
            fields[_plain(name)] = _plain(value).strip()
    return fields


def _plain(text):
    pieces = text.replace(b"+", b" ").split(b"%")
    plain = pieces[0]
    for piece in pieces[1:]:
        plain += binascii.unhexlify(piece[:2]) + piece[2:]
    return plain.decode()


def _provisioned(text):
    """Return the configuration in a provisioning, and the keys beside it."""
    keys = {}
    try:
        config = json.loads(text)
        given = config.pop("keys", {})
        for name in given:
            if name in KEYS:
                keys[name] = binascii.unhexlify(given[name])
    except (ValueError, TypeError, AttributeError):
        raise ConfigError("the provisioning: cannot be read; write it again with: linli-edge node provision") from None
    unknown = [name for name in given if name not in KEYS]
    if unknown:
        raise ConfigError("keys." + unknown[0][:20] + ": unknown; known here: " + ", ".join(KEYS))
    return config, keys


def _filled(config, fields):
    """Put what was filled in over a configuration."""
    if fields.get("node"):
        config["node"] = fields["node"]
    held = config.get("wifi")
    known = [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []
    if fields.get("ssid"):
        kept = [each.get("password", "") for each in known if each.get("ssid") == fields["ssid"]]
        password = fields.get("password") or (kept[0] if kept else "")
        config["wifi"] = [{"ssid": fields["ssid"], "password": password}]
    elif fields.get("password") and len(known) == 1:
        known[0]["password"] = fields["password"]
    elif fields.get("password"):
        # Of which one is not said: that is asked for.
        config["wifi"] = []
    if fields.get("host"):
        gateway = config.get("gateway")
        config["gateway"] = gateway if isinstance(gateway, dict) else {}
        config["gateway"]["host"] = fields["host"]
    if fields.get("kind"):
        pin = fields.get("pin", "")
        config["sensors"] = [{"kind": fields["kind"], "pin": int(pin) if pin.isdigit() else pin}]


def read(fields, load, lang, there="{}"):
    """Return the configuration, and the keys by their names, of what was sent.

    Args:
        fields: Of the form.
        load: Checks a configuration, and raises :class:`ConfigError`.
        lang: In which what is kept secret is said to be so.
        there: The configuration that the board has: what was not sent stays as it is there.

    Raises:
        ConfigError: With a line for each mistake; none of them shows a password or a key.
    """
    config, keys = _provisioned(fields.get("bundle") or there)
    _filled(config, fields)
    problems = [] if config.get("wifi") else ["wifi[0].ssid: missing; add it"]
    try:
        load(json.dumps(config).encode())
    except ConfigError as exc:
        for line in str(exc).split("\n"):
            place = line[: line.find(":")]
            problems.append(place + ": " + _TEXTS[lang]["secret"] if place.endswith("password") else line)
    if problems:
        raise ConfigError("\n".join(problems))
    return config, keys


def dns_answer(query, address):
    """Return the answer to a query of DNS: every name is here; ``None`` where it asks for no address."""
    end = query.find(b"\x00", 12)
    is_query = len(query) >= 17 and not query[2] & 0x80 and query[4:6] == b"\x00\x01"
    if not is_query or end < 0 or query[end + 1 : end + 3] != b"\x00\x01":
        return None
    place = bytes(int(part) for part in address.split("."))
    head = query[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
    return head + query[12 : end + 5] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + place
