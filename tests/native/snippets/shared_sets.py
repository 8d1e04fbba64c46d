# A set of strings in two functions is one object, or two if another object with the text of an element was
# interned before: a name of the program, one that the compiler mangled, a string of the interpreter (gh-129724).
# Each element is met in one way only; none is a word that py_compile's own imports would bring.
match qq0:
 case 1: pass
type Qq = 1
import aqq.bqq.cqq
from aqq.bqq import cqq
import a as dqq
def f(x):
 global eqq
 eqq=1
g(fqq=1)
h=lambda gqq,*hqq,**iqq:0
try: pass
except E as jqq: pass
(kqq:=1)
def f[lqq,*mqq,**nqq](): pass
class A(oqq=1): pass
match 1:
 case A(pqq=1): pass
match 1:
 case {1:2,**rqq}: pass
from . import sqq
@a.tqq
def f(): pass
del a.uqq
f'{a.wqq}'
if 0:
 xqq
assert 1, yqq
f'{x:{zqq}}'
f'{aqr=}'
x:bqr=1
def f(x:cqr)->dqr: pass
f'{a!r:eqr}'
class A[fqr:(a,gqr)=hqr]: pass
match 1:
 case jqr: pass
match 1:
 case [*kqr]: pass
match 1:
 case lqr.mqr: pass
ﬁqq=1
def f():
 '''nqr'''
x='oqr'
x[:'pqr']
x['qqr':]
x='qqr'
x='rq' 'r'
x='sq'+'r'
x='%sqr'%t
x=f'uqr{1}'
x=('wqr',1)
x={'xqr':1}
x={'yqr':1,'b':2}
class A:
 def f(s): s.zqr=1
(x for x in y)
lambda:0
def f():
 a=1
 def g():
  nonlocal a
async def f():pass
with a as aqs: pass
for bqs in a: pass
[cqs for cqs in a]
x:"dqs"=1
def f(a:"eqs"):pass
def f():
 "doc"
 def hqs(): pass
x={"iqs"}
x in ["jqs","k"]
x in {"kqs","k"}
class Early:
 def f(self): return self.__seen
def one_0(x): return x in {'match', 'z z'}
def two_0(x): return 1, x in {'z z', 'match'}
def one_1(x): return x in {'case', 'z z'}
def two_1(x): return 1, x in {'z z', 'case'}
def one_2(x): return x in {'type', 'z z'}
def two_2(x): return 1, x in {'z z', 'type'}
def one_3(x): return x in {'bqq', 'z z'}
def two_3(x): return 1, x in {'z z', 'bqq'}
def one_4(x): return x in {'cqq', 'z z'}
def two_4(x): return 1, x in {'z z', 'cqq'}
def one_5(x): return x in {'dqq', 'z z'}
def two_5(x): return 1, x in {'z z', 'dqq'}
def one_6(x): return x in {'eqq', 'z z'}
def two_6(x): return 1, x in {'z z', 'eqq'}
def one_7(x): return x in {'fqq', 'z z'}
def two_7(x): return 1, x in {'z z', 'fqq'}
def one_8(x): return x in {'gqq', 'z z'}
def two_8(x): return 1, x in {'z z', 'gqq'}
def one_9(x): return x in {'hqq', 'z z'}
def two_9(x): return 1, x in {'z z', 'hqq'}
def one_10(x): return x in {'jqq', 'z z'}
def two_10(x): return 1, x in {'z z', 'jqq'}
def one_11(x): return x in {'kqq', 'z z'}
def two_11(x): return 1, x in {'z z', 'kqq'}
def one_12(x): return x in {'lqq', 'z z'}
def two_12(x): return 1, x in {'z z', 'lqq'}
def one_13(x): return x in {'mqq', 'z z'}
def two_13(x): return 1, x in {'z z', 'mqq'}
def one_14(x): return x in {'oqq', 'z z'}
def two_14(x): return 1, x in {'z z', 'oqq'}
def one_15(x): return x in {'pqq', 'z z'}
def two_15(x): return 1, x in {'z z', 'pqq'}
def one_16(x): return x in {'rqq', 'z z'}
def two_16(x): return 1, x in {'z z', 'rqq'}
def one_17(x): return x in {'sqq', 'z z'}
def two_17(x): return 1, x in {'z z', 'sqq'}
def one_18(x): return x in {'tqq', 'z z'}
def two_18(x): return 1, x in {'z z', 'tqq'}
def one_19(x): return x in {'uqq', 'z z'}
def two_19(x): return 1, x in {'z z', 'uqq'}
def one_20(x): return x in {'wqq', 'z z'}
def two_20(x): return 1, x in {'z z', 'wqq'}
def one_21(x): return x in {'xqq', 'z z'}
def two_21(x): return 1, x in {'z z', 'xqq'}
def one_22(x): return x in {'yqq', 'z z'}
def two_22(x): return 1, x in {'z z', 'yqq'}
def one_23(x): return x in {'zqq', 'z z'}
def two_23(x): return 1, x in {'z z', 'zqq'}
def one_24(x): return x in {'aqr', 'z z'}
def two_24(x): return 1, x in {'z z', 'aqr'}
def one_25(x): return x in {'bqr', 'z z'}
def two_25(x): return 1, x in {'z z', 'bqr'}
def one_26(x): return x in {'cqr', 'z z'}
def two_26(x): return 1, x in {'z z', 'cqr'}
def one_27(x): return x in {'dqr', 'z z'}
def two_27(x): return 1, x in {'z z', 'dqr'}
def one_28(x): return x in {'eqr', 'z z'}
def two_28(x): return 1, x in {'z z', 'eqr'}
def one_29(x): return x in {'fqr', 'z z'}
def two_29(x): return 1, x in {'z z', 'fqr'}
def one_30(x): return x in {'gqr', 'z z'}
def two_30(x): return 1, x in {'z z', 'gqr'}
def one_31(x): return x in {'hqr', 'z z'}
def two_31(x): return 1, x in {'z z', 'hqr'}
def one_32(x): return x in {'iqr', 'z z'}
def two_32(x): return 1, x in {'z z', 'iqr'}
def one_33(x): return x in {'jqr', 'z z'}
def two_33(x): return 1, x in {'z z', 'jqr'}
def one_34(x): return x in {'kqr', 'z z'}
def two_34(x): return 1, x in {'z z', 'kqr'}
def one_35(x): return x in {'lqr', 'z z'}
def two_35(x): return 1, x in {'z z', 'lqr'}
def one_36(x): return x in {'mqr', 'z z'}
def two_36(x): return 1, x in {'z z', 'mqr'}
def one_37(x): return x in {'fiqq', 'z z'}
def two_37(x): return 1, x in {'z z', 'fiqq'}
def one_38(x): return x in {'nqr', 'z z'}
def two_38(x): return 1, x in {'z z', 'nqr'}
def one_39(x): return x in {'oqr', 'z z'}
def two_39(x): return 1, x in {'z z', 'oqr'}
def one_40(x): return x in {'pqr', 'z z'}
def two_40(x): return 1, x in {'z z', 'pqr'}
def one_41(x): return x in {'qqr', 'z z'}
def two_41(x): return 1, x in {'z z', 'qqr'}
def one_42(x): return x in {'rqr', 'z z'}
def two_42(x): return 1, x in {'z z', 'rqr'}
def one_43(x): return x in {'sqr', 'z z'}
def two_43(x): return 1, x in {'z z', 'sqr'}
def one_44(x): return x in {'tqr', 'z z'}
def two_44(x): return 1, x in {'z z', 'tqr'}
def one_45(x): return x in {'uqr', 'z z'}
def two_45(x): return 1, x in {'z z', 'uqr'}
def one_46(x): return x in {'wqr', 'z z'}
def two_46(x): return 1, x in {'z z', 'wqr'}
def one_47(x): return x in {'xqr', 'z z'}
def two_47(x): return 1, x in {'z z', 'xqr'}
def one_48(x): return x in {'yqr', 'z z'}
def two_48(x): return 1, x in {'z z', 'yqr'}
def one_49(x): return x in {'zqr', 'z z'}
def two_49(x): return 1, x in {'z z', 'zqr'}
def one_50(x): return x in {'__annotate__', 'z z'}
def two_50(x): return 1, x in {'z z', '__annotate__'}
def one_51(x): return x in {'__static_attributes__', 'z z'}
def two_51(x): return 1, x in {'z z', '__static_attributes__'}
def one_56(x): return x in {'__classdict__', 'z z'}
def two_56(x): return 1, x in {'z z', '__classdict__'}
def one_57(x): return x in {'__classcell__', 'z z'}
def two_57(x): return 1, x in {'z z', '__classcell__'}
def one_61(x): return x in {'__build_class__', 'z z'}
def two_61(x): return 1, x in {'z z', '__build_class__'}
def one_62(x): return x in {'__firstlineno__', 'z z'}
def two_62(x): return 1, x in {'z z', '__firstlineno__'}
def one_63(x): return x in {'__conditional_annotations__', 'z z'}
def two_63(x): return 1, x in {'z z', '__conditional_annotations__'}
def one_65(x): return x in {'aqs', 'z z'}
def two_65(x): return 1, x in {'z z', 'aqs'}
def one_66(x): return x in {'bqs', 'z z'}
def two_66(x): return 1, x in {'z z', 'bqs'}
def one_67(x): return x in {'cqs', 'z z'}
def two_67(x): return 1, x in {'z z', 'cqs'}
def one_68(x): return x in {'dqs', 'z z'}
def two_68(x): return 1, x in {'z z', 'dqs'}
def one_69(x): return x in {'eqs', 'z z'}
def two_69(x): return 1, x in {'z z', 'eqs'}
def one_70(x): return x in {'hqs', 'z z'}
def two_70(x): return 1, x in {'z z', 'hqs'}
def one_71(x): return x in {'iqs', 'z z'}
def two_71(x): return 1, x in {'z z', 'iqs'}
def one_72(x): return x in {'jqs', 'z z'}
def two_72(x): return 1, x in {'z z', 'jqs'}
def one_73(x): return x in {'kqs', 'z z'}
def two_73(x): return 1, x in {'z z', 'kqs'}
def one_74(x): return x in {'_Early__seen', 'z z'}
def two_74(x): return 1, x in {'z z', '_Early__seen'}
def one_75(x): return x in {'_Late__seen', 'z z'}
def two_75(x): return 1, x in {'z z', '_Late__seen'}
def one_76(x): return x in {'_Late__parameter', 'z z'}
def two_76(x): return 1, x in {'z z', '_Late__parameter'}
def one_77(x): return x in {'_Late__module', 'z z'}
def two_77(x): return 1, x in {'z z', '_Late__module'}
class Late:
 __seen = 1
 import __module
 def f(self, __parameter): return 'z z', __parameter
 def g(x): return x in {'_Late__seen', 'z z'}, x in {'_Late__parameter', 'z z'}, x in {'_Late__module', 'z z'}
if x: y = '_Known__seen', '_Known__given'
class Known:
 __noted: int = 1
 def f(self, *, __given=2): return self.__seen, __given
def one_known(x): return x in {'_Known__seen', 'z z'}, x in {'_Known__given', 'z z'}, x in {'_Known__noted', 'z z'}
def two_known(x): return 1, x in {'_Known__seen', 'z z'}, x in {'_Known__given', 'z z'}, x in {'_Known__noted', 'z z'}
