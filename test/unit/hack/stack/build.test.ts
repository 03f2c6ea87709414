import { expect } from 'chai';
import { BuildOutput, goBuildFlags, versionIn } from '../../../../hack/stack/build.ts';
import { StackError } from '../../../../hack/stack/errors.ts';
import { coderTools, programVersion } from '../../../../hack/stack/programs.ts';

describe('building from Go modules', () => {
  it('counts packages and modules in what `go build -v` writes, however it is cut', () => {
    const output = new BuildOutput();
    output.add('go: downloading k8s.io/api v0.36.3\ngo: downl');
    output.add('oading k8s.io/client-go v0.36.3\nunicode/utf8\nk8s.io/api/core/v1\ngo.etcd.io');
    output.add('/bbolt\n');
    expect(output.summary()).to.equal('3 packages compiled, 2 modules downloaded');
  });

  it('says nothing of modules when none had to be fetched', () => {
    expect(new BuildOutput().summary()).to.equal('0 packages compiled');
  });

  it('keeps what is neither a package nor a module as the reason of a failure', () => {
    const output = new BuildOutput();
    output.add('unicode/utf8\n# k8s.io/api\nmain.go:3:1: syntax error\nno line feed at the end');
    expect(output.lastWords()).to.include('main.go:3:1: syntax error').and.include('no line feed at the end');
    expect(output.lastWords()).to.not.include('unicode/utf8');
  });

  it('admits when there is no reason', () => {
    expect(new BuildOutput().lastWords()).to.equal('The go command gave no reason.');
  });

  it('stamps versions and keeps the paths that warm the compiler’s cache', () => {
    const flags = goBuildFlags({ 'example.org/v.tag': '1.2.3' });
    expect(flags.join(' ')).to.include('-X example.org/v.tag=1.2.3').and.not.include('trimpath');
  });

  it('reads versions from a go.mod', () => {
    const goMod =
      'module x\n\ngo 1.26.0\n\nrequire example.org/one v1.2.3\nrequire (\n\texample.org/two/v2 v2.0.1-rc.1 // indirect\n)\n';
    expect(versionIn(goMod, 'go')).to.equal('1.26.0');
    expect(versionIn(goMod, 'example.org/one')).to.equal('v1.2.3');
    expect(versionIn(goMod, 'example.org/two/v2')).to.equal('v2.0.1-rc.1');
    expect(() => versionIn(goMod, 'example.org/two')).to.throw(StackError, 'example.org/two');
  });

  it('knows the versions of the programs from their go.mod files', () => {
    expect(programVersion('kubectl')).to.match(/^v1\.\d+\.\d+$/);
    expect(programVersion('kubectl')).to.equal(programVersion('kube-apiserver'));
    expect(programVersion('coder')).to.match(/^v2\.\d+\.\d+$/);
  });

  it('knows the older Coders that tests can be run against, and says which there are', () => {
    const newest = programVersion('coder').slice(1);
    expect(coderTools(undefined)).to.equal('coder');
    expect(coderTools(newest)).to.equal('coder');
    expect(coderTools('2.29')).to.equal('coder-2.29');
    expect(coderTools('2.29.1')).to.equal('coder-2.29');
    for (const wanted of ['2.2', '2.29.9', 'coder', '../coder']) {
      expect(() => coderTools(wanted), wanted).to.throw(StackError, `There is no Coder ${wanted}`);
      expect(() => coderTools(wanted), wanted).to.throw(newest);
    }
  });
});
