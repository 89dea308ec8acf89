"""Which nodes become integers."""

import onnx

from rtmo.deploy.quantisation import integer_nodes

GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
network (float[1,3,8,8] images, float[3,3,1,1] w) => (float[1,3,8,8] found) {
   [stem] grown = Mul (images, images)
   [first] a = Conv (grown, w)
   [gate] s = Sigmoid (a)
   [act] b = Mul (a, s)
   [tokens] t = Transpose <perm = [0, 2, 3, 1]> (b)
   [attention] u = Add (t, t)
   [back] v = Transpose <perm = [0, 3, 1, 2]> (u)
   [second] c = Conv (v, w)
   [output] d = Conv (c, w)
   [scores] e = Sigmoid (d)
   [boxes] found = Mul (e, d)
}
"""


def test_convolutions_that_others_follow_and_what_stands_between() -> None:
    assert integer_nodes(onnx.parser.parse_model(GRAPH)) == ["first", "gate", "act", "second"]
