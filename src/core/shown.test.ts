import { expect, test } from "bun:test";
import { harmlessJson, visible } from "./shown.ts";

test("what acts on a terminal is spelled out, what is read stays", () => {
  expect(visible("/var/log/größe 日本.log")).toBe("/var/log/größe 日本.log");
  expect(visible("a\nb\tc\r\u001b[2J\u009b31m\u0000")).toBe("a\\nb\\tc\\r\\x1b[2J\\x9b31m\\x00");
  expect(visible("evil\u202egol.exe\u200b\u2028")).toBe("evil\\u202egol.exe\\u200b\\u2028");
  expect(visible("byte \udcff")).toBe("byte \\udcff");
});

test("a long name keeps both of its ends", () => {
  const shown = visible(`/var/log/${"x".repeat(5000)}/app.log`, 60);
  expect(shown.length).toBe(60);
  expect(shown).toStartWith("/var/log/x");
  expect(shown).toEndWith("x/app.log");
});

test("JSON keeps its value and loses what acts", () => {
  const value = { path: 'a\u009b2J\u202e\u2028"\\\n\u001b\u00e4' };
  const json = harmlessJson(JSON.stringify(value));
  expect(json).toBe('{"path":"a\\u009b2J\\u202e\\u2028\\"\\\\\\n\\u001bä"}');
  expect(JSON.parse(json)).toEqual(value);
});
